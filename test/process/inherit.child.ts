/** Starts children that have its own stdin, stdout and stderr. */
import type { SubprocessTransport } from '../../src/index.ts';
import { NodeEventLoop, STDOUT } from '../../src/index.ts';

const inherit = { stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' } as const;
const loop = new NodeEventLoop();
await loop.runUntilComplete(async () => {
  for (const [command, options] of [
    ['read word; echo "out $word"; echo "err $word" >&2', inherit],
    ['echo merged >&2', { ...inherit, stderr: STDOUT }],
  ] as const) {
    const ended = loop.createFuture<void>();
    let transport: SubprocessTransport;
    const protocol = {
      connectionMade: (made: SubprocessTransport) => {
        transport = made;
      },
      connectionLost: () => {
        if (transport.getReturncode() === 0) ended.setResult(undefined);
        else ended.setException(new Error(`the child returned ${transport.getReturncode()}`));
      },
    };
    await loop.subprocessShell(() => protocol, command, options);
    await ended;
  }
});
loop.close();
