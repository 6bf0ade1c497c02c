import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Server as NodeServer, Socket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { closed, listeningNodeServer } from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';

// A descriptor that a process inherits, as from systemd or inetd: the program only knows its number.

const child = fileURLToPath(new URL('./descriptor.child.ts', import.meta.url));
const skip = process.platform === 'win32' ? 'Windows passes no sockets as descriptors' : false;

function descriptorOf(socket: Socket | NodeServer): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Runs the child with `descriptor` as its 3. Returns its output, and its exit code once it has ended. */
function inherit(kind: string, descriptor: number): { printed: Promise<string>; exit: Promise<number> } {
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const running = spawn(process.execPath, [...loaderOptions, child, kind], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit', descriptor],
  });
  const printed = once(running.stdout as NodeJS.ReadableStream, 'data').then(([data]) => String(data));
  const exit = once(running, 'exit').then(([code]) => code as number);
  return { printed, exit };
}

async function conversation(client: Socket): Promise<string> {
  client.end('hello');
  const chunks: Buffer[] = [];
  for await (const chunk of client) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test('createConnection() accepts the number of a connected descriptor as sock', { skip }, async () => {
  const { server, port } = await listeningNodeServer();
  const accepted = once(server, 'connection');
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [socket] = (await accepted) as [Socket];
  const { printed, exit } = inherit('connection', descriptorOf(socket));
  socket.destroy();
  assert.deepEqual(JSON.parse(await printed), ['127.0.0.1', port]);
  assert.equal(await conversation(client), 'HELLO');
  assert.equal(await exit, 0);
  await closed(server);
});

test('createServer() accepts the number of a listening descriptor as sock', { skip }, async () => {
  const { server, port } = await listeningNodeServer();
  const { printed, exit } = inherit('server', descriptorOf(server));
  await closed(server);
  assert.deepEqual(JSON.parse(await printed), ['127.0.0.1', port]);
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  assert.equal(await conversation(client), 'HELLO');
  assert.equal(await exit, 0);
});
