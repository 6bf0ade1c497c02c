// Blocks every thread of libuv's pool by opening a FIFO without a writer, then resolves names, and prints the
// answers.
import { spawnSync } from 'node:child_process';
import { open, openSync } from 'node:fs';
import { AI_ADDRCONFIG, NI_NUMERICHOST, NI_NUMERICSERV, NodeEventLoop } from '../../../src/index.ts';

const [, , fifo = ''] = process.argv;
spawnSync('mkfifo', [fifo]);
let held = true;
open(fifo, 'r', () => {
  held = false;
});

const loop = new NodeEventLoop();
const codeOf = async (aw: PromiseLike<unknown>): Promise<unknown> => {
  try {
    await aw;
    return 'no error';
  } catch (error) {
    return (error as { code?: string }).code;
  }
};
await loop.runUntilComplete(async () => {
  const hostOf = async (...args: Parameters<typeof loop.getaddrinfo>): Promise<unknown> =>
    (await loop.getaddrinfo(...args))[0]?.sockaddr[0];
  const literal = await hostOf('127.0.0.1', 80);
  const zone = await hostOf('fe80::1%1', 80);
  const none = await hostOf(null, 80);
  // These ask the host, but need no thread: its interfaces and its list of services.
  const configured = typeof (await hostOf(null, 80, { flags: AI_ADDRCONFIG }));
  const service = await codeOf(loop.getaddrinfo('127.0.0.1', 'no-such-service'));
  const numeric = await loop.getnameinfo(['127.0.0.1', 80], NI_NUMERICHOST | NI_NUMERICSERV);
  const [scoped] = await loop.getnameinfo(['fe80::1', 80, 0, 1], NI_NUMERICHOST | NI_NUMERICSERV);

  const waits = [loop.getaddrinfo('localhost', 80), loop.getnameinfo(['127.0.0.1', 80])];
  loop.callLater(0.05, () => {
    for (const wait of waits) wait.cancel();
  });
  const [info, name] = [
    await codeOf(waits[0] as PromiseLike<unknown>),
    await codeOf(waits[1] as PromiseLike<unknown>),
  ];
  const answers = {
    literal,
    zone,
    none,
    configured,
    service,
    numeric,
    scoped: scoped.startsWith('fe80::1%'),
  };
  console.log(JSON.stringify({ ...answers, info, name, held }));
});
loop.close();
// Releases the thread, because the process waits for it.
openSync(fifo, 'w');
