/** Ends while three children still run: `node leave.child.ts close|run|idle`. Prints their ids. */
import { createSubprocessExec, DEVNULL, NodeEventLoop, PIPE, run } from '../../src/index.ts';

const [, , how] = process.argv;

async function leaveChildren(): Promise<void> {
  // No child inherits stderr, because a reader of it would wait for the children.
  const quiet = { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL };
  const all = [
    await createSubprocessExec('sleep', ['60'], { stdin: PIPE, stdout: PIPE, stderr: PIPE }),
    await createSubprocessExec('sleep', ['60'], quiet),
    // This child does not end by itself when its pipes do.
    await createSubprocessExec('sh', ['-c', 'trap "" HUP INT TERM PIPE; exec sleep 60'], {
      ...quiet,
      stdout: PIPE,
    }),
  ];
  console.log(JSON.stringify(all.map((child) => child.pid)));
}

if (how === 'run') {
  await run(leaveChildren);
} else {
  const loop = new NodeEventLoop();
  await loop.runUntilComplete(leaveChildren);
  if (how === 'close') loop.close();
}
