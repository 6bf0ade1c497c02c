/** Ends with three children that still run: `node leave.child.ts close|run|idle`. Prints their ids. */
import { createSubprocessExec, DEVNULL, NodeEventLoop, PIPE, run } from '../../src/index.ts';

const [, , how] = process.argv;

async function leaveChildren(): Promise<void> {
  // None has our stderr: whoever reads that would wait for them.
  const quiet = { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL };
  const all = [
    await createSubprocessExec('sleep', ['60'], { stdin: PIPE, stdout: PIPE, stderr: PIPE }),
    await createSubprocessExec('sleep', ['60'], quiet),
    // Not one that ends of itself when its pipes do.
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
