/**
 * Has no descriptor left: `node descriptors.child.ts directory`, to be started with a low limit. Prints the
 * errors of connecting and taking over, serves on a unix socket meanwhile, and echoes once it has descriptors
 * again. Each line of its standard input is a step.
 */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Transport } from '../../src/index.ts';
import { NodeEventLoop } from '../../src/index.ts';
import { takeAllDescriptors } from '../helpers/exhaust.ts';

const [, , directory = ''] = process.argv;
const path = join(directory, 'socket');
const loop = new NodeEventLoop();
const reports: string[] = [];
loop.setExceptionHandler((_loop, { message, exception }) => {
  reports.push(`${message}: ${(exception as { code?: string } | undefined)?.code}`);
});
const code = (error: { code?: string }): string => String(error.code);

await loop.runUntilComplete(async () => {
  const server = await loop.createUnixServer(() => {
    let transport: Transport | null = null;
    return {
      connectionMade: (made: Transport) => {
        transport = made;
      },
      dataReceived: (data: Buffer) => transport?.write(data),
    };
  }, path);
  const tcp = await loop.createServer(() => ({}), '127.0.0.1', 0);
  const port = tcp.sockets[0]?.getsockname()?.[1] as number;
  // Opens everything that these functions need for themselves.
  const [warm] = await loop.createConnection(() => ({}), '127.0.0.1', port);

  const held = await takeAllDescriptors();
  const answers = [
    await loop.createUnixConnection(() => ({}), path).then(() => 'connected', code),
    await loop.createConnection(() => ({}), '127.0.0.1', port).then(() => 'connected', code),
    await loop.createUnixServer(() => ({}), `${path}2`).then(() => 'listens', code),
    await loop.sendfile(warm, path).then(() => 'sent', code),
  ];
  process.stdout.write(`${JSON.stringify(answers)}\n`);
  const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
  await lines.next();
  for (const fd of held) closeSync(fd);
  process.stdout.write('free\n');
  await lines.next();
  warm.close();
  server.close();
  server.closeClients();
  tcp.close();
  await server.waitClosed();
  await tcp.waitClosed();
  process.stdout.write(`${JSON.stringify(reports)}\n`);
});
loop.close();
process.exit();
