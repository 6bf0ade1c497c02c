/** Serves without a free descriptor, prints the errors, and echoes once it has descriptors again. */
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Transport, TransportSocket } from '../../../src/index.ts';
import { UvEventLoop } from '../../../src/index.ts';
import { takeAllDescriptors } from '../../helpers/exhaust.ts';

const say = (what: unknown): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);
const loop = new UvEventLoop();
let told: unknown = 'nothing';
loop.setExceptionHandler((_loop, { exception }) => {
  told = (exception as { code?: string } | undefined)?.code;
});

await loop.runUntilComplete(async () => {
  const server = await loop.createServer(
    () => {
      let transport: Transport | null = null;
      return {
        connectionMade: (made: Transport) => {
          transport = made;
        },
        dataReceived: (data: Buffer) => transport?.write(data),
      };
    },
    '127.0.0.1',
    0,
  );
  const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
  const [, port] = (server.sockets[0] as TransportSocket).getsockname() as [string, number];
  const held = await takeAllDescriptors();
  say(port);
  await lines.next();
  for (const fd of held) closeSync(fd);
  say(told);
  await server.serveForever();
});
