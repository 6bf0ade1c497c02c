import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { AF_INET, AF_UNIX, CancelledError, NodeEventLoop, sleep } from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import { closed, listeningNodeServer, onNode, Recorder } from '../../helpers/pairs.ts';
import { loaderOptions } from '../../helpers/typescript.ts';
import { inDirectory, isOpen, noUnix, pipeEnds } from '../../helpers/unix-pairs.ts';
import { assertSockets, socketCount } from '../sockets.ts';

const makeNothing = (): object => ({});

/** A connection that a server of Node's own has accepted, and its client. */
async function accepted(): Promise<{ sock: Socket; client: Socket; done: () => Promise<void> }> {
  const { server, port } = await listeningNodeServer();
  const incoming = once(server, 'connection');
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {});
  const [sock] = (await incoming) as [Socket];
  return {
    sock,
    client,
    done: async () => {
      await closed(client);
      await closed(server);
    },
  };
}

describe('connectAcceptedSocket() of a foreign socket', () => {
  test(
    'connectAcceptedSocket() makes a protocol and an ordinary connection',
    onNode(async (loop) => {
      const { sock, client, done } = await accepted();
      client.write('before ');
      const near = new Recorder();
      near.keepOpen = true;
      const [transport, protocol] = await loop.connectAcceptedSocket(() => near, sock);
      assert.deepEqual([protocol, near.transport], [near, transport]);
      assert.equal(transport.getExtraInfo('socket')?.family, AF_INET);
      assert.deepEqual(transport.getExtraInfo('peername'), ['127.0.0.1', client.localPort]);
      client.end('and after');
      await near.untilTold('eof');
      assert.equal(near.text, 'before and after');
      transport.write('answer');
      transport.close();
      const [data] = (await once(client, 'data')) as [Buffer];
      assert.equal(String(data), 'answer');
      await near.untilLost();
      assert.deepEqual([near.log, near.exception], [['made', 'data', 'eof', 'lost'], null]);
      await done();
    }),
  );

  test(
    'connectAcceptedSocket() accepts a unix socket',
    { skip: noUnix },
    onNode((loop) =>
      inDirectory(async (directory) => {
        const server = createServer().listen(join(directory, 'socket'));
        await once(server, 'listening');
        const client = connect(join(directory, 'socket'));
        const [sock] = (await once(server, 'connection')) as [Socket];
        const near = new Recorder();
        const [transport] = await loop.connectAcceptedSocket(() => near, sock);
        assert.equal(transport.getExtraInfo('socket')?.family, AF_UNIX);
        client.end('hello');
        await near.untilLost();
        assert.deepEqual([near.text, near.exception], ['hello', null]);
        server.close();
        await once(server, 'close');
      }),
    ),
  );

  test(
    'connectAcceptedSocket() with ssl continues by TLS, as the server',
    onNode(async (loop) => {
      const { sock, client, done } = await accepted();
      const near = new Recorder();
      const connecting = loop.connectAcceptedSocket(() => near, sock, {
        ssl: serverTls(),
        sslHandshakeTimeout: 30,
      });
      const secure = connectTls({ socket: client, servername: 'localhost', ...clientTls() });
      const [transport] = await connecting;
      secure.write('secret');
      assert.equal(String(await near.untilReceived(6)), 'secret');
      assert.match(String(transport.getExtraInfo('cipher')?.version), /^TLSv1\.[23]$/);
      secure.end();
      await near.untilLost();
      assert.equal(near.exception, null);
      await done();
    }),
  );

  test(
    'connectAcceptedSocket() closes the socket on a cancel, an abort or a factory that throws, but not for an aborted signal',
    onNode(async (loop) => {
      const before = socketCount();
      const attempts: ((sock: Socket) => Promise<unknown>)[] = [
        (sock) => {
          const connecting = loop.connectAcceptedSocket(makeNothing, sock);
          connecting.cancel();
          return assert.rejects(connecting, CancelledError);
        },
        (sock) => {
          const controller = new AbortController();
          const connecting = loop.connectAcceptedSocket(makeNothing, sock, { signal: controller.signal });
          controller.abort('why');
          return assert.rejects(connecting, { name: 'CancelledError', cause: 'why' });
        },
        (sock) => {
          const factory = (): never => {
            throw new Error('no protocol');
          };
          return assert.rejects(loop.connectAcceptedSocket(factory, sock), /no protocol/);
        },
        async (sock) => {
          const connecting = loop.connectAcceptedSocket(makeNothing, sock, { ssl: serverTls() });
          for (let i = 0; i < 5; i++) await sleep(0);
          connecting.cancel();
          await assert.rejects(connecting, CancelledError);
        },
      ];
      for (const attempt of attempts) {
        const { sock, client, done } = await accepted();
        client.resume();
        await attempt(sock);
        while (!client.closed && !client.readableEnded) await sleep(0);
        await done();
      }
      const { sock, client, done } = await accepted();
      const untouched = loop.connectAcceptedSocket(makeNothing, sock, { signal: AbortSignal.abort() });
      await assert.rejects(untouched, CancelledError);
      sock.write('still there');
      const [data] = (await once(client, 'data')) as [Buffer];
      assert.equal(String(data), 'still there');
      await done();
      await assertSockets(before, 'a socket was left');
    }),
  );

  test(
    'connectAcceptedSocket() rejects other objects and unknown options at the call',
    onNode(async (loop) => {
      const { server, port } = await listeningNodeServer();
      const pending = connect(port, '127.0.0.1');
      const { read, write } = pipeEnds();
      const file = openSync('/dev/null', 'r');
      for (const sock of [null, undefined, {}, 'x', server, pending, 1.5, -1, 99_999, read, file]) {
        assert.throws(() => loop.connectAcceptedSocket(makeNothing, sock), {
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
          message: /"sock"/,
        });
      }
      // A rejected socket still belongs to its owner.
      assert.deepEqual([read, write, file].map(isOpen), [true, true, true]);
      const call = (...args: unknown[]): unknown => Reflect.apply(loop.connectAcceptedSocket, loop, args);
      assert.throws(() => call(null, 0), /"protocolFactory"/);
      assert.throws(() => call(makeNothing, 0, { serverHostname: 'x' }), /"options.serverHostname"/);
      assert.throws(() => call(makeNothing, 0, { signal: 1 }), /"options.signal"/);
      assert.throws(() => call(makeNothing, 0, { sslShutdownTimeout: 1 }), /"options.sslShutdownTimeout"/);
      assert.throws(() => call(makeNothing, 0, { ssl: true }), /certificate/);
      await closed(pending);
      await closed(server);
      for (const fd of [read, write, file]) closeSync(fd);
    }),
  );

  test('connectAcceptedSocket() of a loop without a network throws', () => {
    const loop = bareLoop();
    assert.throws(() => loop.connectAcceptedSocket(makeNothing, 0), { code: 'ERR_UNSUPPORTED' });
    loop.close();
  });

  test('loop.close() ends a socket of connectAcceptedSocket(), also during the take-over', async () => {
    const before = socketCount();
    const loop = new NodeEventLoop();
    const reports: string[] = [];
    loop.setExceptionHandler((_loop, { message }) => reports.push(message));
    const { sock, done } = await accepted();
    const connecting = loop.connectAcceptedSocket(makeNothing, sock);
    loop.close();
    assert.equal(connecting.cancelled(), true);
    assert.ok(
      reports.some((report) => report.endsWith('taking over an accepted socket was still under way')),
    );
    await done();
    await assertSockets(before, 'a socket was left');
  });

  test('connectAcceptedSocket() accepts the number of an inherited descriptor', {
    skip: noUnix,
  }, async () => {
    const { sock, client, done } = await accepted();
    const child = fileURLToPath(new URL('./accepted.child.ts', import.meta.url));
    const descriptor = (sock as unknown as { _handle: { fd: number } })._handle.fd;
    const running = spawn(process.execPath, [...loaderOptions, child], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      // As inetd does, and with a socket pair of Node's, which is a unix socket.
      stdio: ['ignore', 'ignore', 'inherit', descriptor, 'pipe'],
    });
    sock.destroy();
    const pair = running.stdio[4] as Socket;
    for (const end of [client, pair]) {
      end.end('hello');
      const chunks: Buffer[] = [];
      for await (const chunk of end) chunks.push(chunk as Buffer);
      assert.equal(Buffer.concat(chunks).toString(), 'HELLO');
    }
    const [status] = await once(running, 'close');
    assert.equal(status, 0);
    await done();
  });
});
