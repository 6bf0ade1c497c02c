/** Descriptors of the native backend: closed by others, or none left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addon } from '../../../src/backend/uv/dispatch.ts';
import type { Transport, TransportSocket } from '../../../src/index.ts';
import { AF_INET, SOCK_DGRAM, Socket, UvEventLoop } from '../../../src/index.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { busyPart } from '../../helpers/busy-part.ts';
import { endAll, endpoint, freeUdpPort } from '../../helpers/datagrams.ts';
import { closed, Recorder } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

async function withPair(body: (accepted: Recorder, transport: Transport) => Promise<void>): Promise<void> {
  const loop = new UvEventLoop();
  await loop.runUntilComplete(async () => {
    const accepted = new Recorder();
    const server = await loop.createServer(() => accepted, '127.0.0.1', 0);
    const [, port] = (server.sockets[0] as TransportSocket).getsockname() as [string, number];
    const [transport] = await loop.createConnection(() => new Recorder(), '127.0.0.1', port);
    await accepted.untilTold('made', 1);
    await body(accepted, transport);
    transport.abort();
    accepted.transport.abort();
    server.close();
    await server.waitClosed();
  });
  loop.close();
}

test('both ends of a native connection have no-delay, the accepted one from its listener', {
  skip,
}, async () => {
  await withPair(async (accepted, transport) => {
    for (const one of [accepted.transport, transport]) {
      const fd = (one.getExtraInfo('socket') as TransportSocket).fileno();
      const value = new Uint8Array(4);
      assert.equal(addon().socketGetOption(fd, IPPROTO_TCP, TCP_NODELAY, value), 4);
      assert.deepEqual([...value], [1, 0, 0, 0]);
    }
  });
});

test('a descriptor that is closed under a native connection ends that connection, and nothing else', {
  skip,
}, async () => {
  await withPair(async (accepted, transport) => {
    closeSync((accepted.transport.getExtraInfo('socket') as TransportSocket).fileno());
    accepted.transport.write('to nobody');
    await accepted.untilLost();
    assert.equal((accepted.exception as NodeJS.ErrnoException).code, 'EBADF');
    await (transport.getProtocol() as Recorder).untilLost();
  });
});

test('a native server without a free descriptor turns clients away, reports it, and serves later clients', {
  skip,
}, async (context) => {
  const child = fileURLToPath(new URL('./descriptors.child.ts', import.meta.url));
  const running = spawn(
    'sh',
    ['-c', `ulimit -n 80; exec '${process.execPath}' ${loaderOptions.join(' ')} '${child}'`],
    {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  context.after(() => running.kill('SIGKILL'));
  const lines = createInterface(running.stdout)[Symbol.asyncIterator]();
  const line = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value));
  const port = (await line()) as number;
  const early = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  const ends = await Promise.all(early.map((socket) => once(socket, 'error')));
  assert.deepEqual(
    ends.map(([error]) => (error as NodeJS.ErrnoException).code),
    ['ECONNRESET', 'ECONNRESET'],
  );
  running.stdin.write('free\n');
  assert.equal(await line(), 'EMFILE');
  const late = connect(port, '127.0.0.1');
  late.write('hello');
  const [data] = (await once(late, 'data')) as [Buffer];
  assert.equal(String(data), 'hello');
  await closed(late);
});

test('a native datagram socket with a persistent error reports it, and then the loop rests', {
  skip,
}, async () => {
  const IPPROTO_IP = 0;
  const IP_RECVERR = 11;
  const loop = new UvEventLoop();
  await loop.runUntilComplete(async () => {
    const port = await freeUdpPort();
    const sock = new Socket(AF_INET, SOCK_DGRAM);
    sock.bind(['127.0.0.1', 0]);
    sock.setsockopt(IPPROTO_IP, IP_RECVERR, 1);
    const near = await endpoint(loop, { sock });
    for (let i = 1; i <= 3; i++) {
      near.transport.sendto('nobody there', ['127.0.0.1', port]);
      await near.untilTold('error', i);
    }
    assert.deepEqual(near.codes, ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED']);
    assert.ok((await busyPart()) < 0.5);
    await endAll(near);
  });
  loop.close();
});
