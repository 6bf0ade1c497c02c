/** `writer.startTls()`, and streams over TLS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { StreamReader, StreamWriter } from '../../src/index.ts';
import {
  CancelledError,
  InvalidStateError,
  NodeEventLoop,
  openConnection,
  sleep,
  startServer,
  TimeoutError,
} from '../../src/index.ts';
import { clientTls, serverTls } from '../helpers/certificates.ts';
import { closed, listeningNodeServer, onNode, portOf } from '../helpers/pairs.ts';
import { faultyProxy } from '../net/faulty-proxy.ts';
import { assertSockets, socketCount } from '../net/sockets.ts';
import { closedSocket, nodeTlsClient } from '../net/tls/tls-peers.ts';

const HOST = { serverHostname: 'localhost' };

type Serve = (reader: StreamReader, writer: StreamWriter) => Promise<void>;

test(
  'openConnection() and startServer() carry lines and the end of file over TLS, with the extra info of TLS',
  onNode(async () => {
    const server = await startServer(
      async (reader, writer) => {
        for await (const line of reader.lines()) {
          writer.write(line);
          await writer.drain();
        }
        // The stream stays open for writing after the end of the peer, as over TCP.
        writer.write('that was all\n');
        writer.close();
        await writer.waitClosed();
      },
      '127.0.0.1',
      0,
      { ssl: serverTls() },
    );
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server), { ssl: clientTls() });
    assert.equal(writer.getExtraInfo('peercert')?.subject.CN, 'localhost');
    assert.equal(writer.canWriteEof(), false);
    assert.throws(() => writer.writeEof(), { code: 'ERR_UNSUPPORTED' });
    writer.write('one\ntwo\n');
    assert.deepEqual([String(await reader.readline()), String(await reader.readline())], ['one\n', 'two\n']);
    writer.close();
    await writer.waitClosed();

    // A peer that ends its side and still reads.
    const socket = await nodeTlsClient(portOf(server));
    socket.end('three\n');
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), 'three\nthat was all\n');
    await closedSocket(socket);
    server.close();
    await server.waitClosed();
  }),
);

test(
  'startTls() on both sides keeps reader and writer, and gives both a new transport',
  onNode(async () => {
    const seen: string[] = [];
    const serve: Serve = async (reader, writer) => {
      const before = writer.transport;
      assert.equal(String(await reader.readline()), 'STARTTLS\n');
      writer.write('go ahead\n');
      await writer.startTls(serverTls());
      assert.notEqual(writer.transport, before);
      seen.push(writer.getExtraInfo('cipher')?.version ?? 'none');
      for await (const line of reader.lines()) writer.write(String(line).toUpperCase());
      writer.close();
      await writer.waitClosed();
      seen.push('closed');
    };
    const server = await startServer(serve, '127.0.0.1', 0);
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server), { limit: 1000 });
    writer.write('STARTTLS\n');
    assert.equal(String(await reader.readline()), 'go ahead\n');
    await writer.startTls(clientTls(), HOST);
    assert.equal((writer.getExtraInfo('sslObject') as TLSSocket).authorized, true);
    writer.write('hello\n');
    assert.equal(String(await reader.readline()), 'HELLO\n');
    // Back-pressure goes to the new transport: the peer sends far more than twice the limit while no task
    // reads.
    const line = `${'x'.repeat(500)}\n`;
    for (let i = 0; i < 400; i++) writer.write(line);
    while (writer.transport.isReading()) await sleep(0);
    for (let i = 0; i < 400; i++) assert.equal((await reader.readline()).length, line.length);
    assert.equal(writer.transport.isReading(), true);
    writer.close();
    await writer.waitClosed();
    while (seen.length < 2) await sleep(0);
    assert.deepEqual(seen, ['TLSv1.3', 'closed']);
    server.close();
    await server.waitClosed();
  }),
);

test(
  'startTls() passes buffered, unread data to TLS: a PROXY header and a ClientHello in one segment',
  onNode(async (loop) => {
    const answered = loop.createFuture<string>();
    const serve: Serve = async (reader, writer) => {
      const header = String(await reader.readline());
      await writer.startTls(serverTls());
      const line = String(await reader.readline());
      writer.write(`${header.split(' ')[2]} said ${line}`);
      writer.close();
      await writer.waitClosed();
      answered.setResult(line);
    };
    const server = await startServer(serve, '127.0.0.1', 0);
    // The first data of Node's client arrives together with the header.
    const { connect } = await import('node:net');
    const { connect: connectTls } = await import('node:tls');
    const { Duplex } = await import('node:stream');
    const socket = connect(portOf(server), '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.cork();
    socket.write('PROXY TCP4 192.0.2.7 192.0.2.2 56324 443\r\n');
    const wire = new Duplex({
      read() {},
      write(data: Buffer, _encoding, done) {
        socket.write(data);
        done();
      },
    });
    socket.on('data', (data: Buffer) => wire.push(data));
    const tls = connectTls({ socket: wire, servername: 'localhost', ...clientTls() });
    tls.on('error', () => {});
    // Node does not end a socket that may be half-closed by itself.
    tls.on('end', () => tls.end());
    tls.resume();
    setImmediate(() => socket.uncork());
    await new Promise((resolve) => tls.once('secureConnect', resolve));
    tls.write('hello\n');
    assert.equal(await answered.then((line) => line.trim()), 'hello');
    tls.destroy();
    socket.destroy();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'startTls() waits until earlier writes have left, and rejects later writes',
  onNode(async () => {
    const serve: Serve = async (reader, writer) => {
      await reader.readexactly(20_000_000);
      await writer.startTls(serverTls());
      writer.write(await reader.readline());
      writer.close();
      await writer.waitClosed();
    };
    const server = await startServer(serve, '127.0.0.1', 0);
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    writer.write(Buffer.alloc(20_000_000));
    const starting = writer.startTls(clientTls(), HOST);
    for (const call of [
      () => writer.write('in clear'),
      () => writer.writelines(['in clear']),
      () => writer.writeEof(),
      () => writer.startTls(clientTls(), HOST),
    ]) {
      assert.throws(call, (error) => error instanceof InvalidStateError && /startTls/.test(error.message));
    }
    await starting;
    writer.write('in secret\n');
    assert.equal(String(await reader.readline()), 'in secret\n');
    writer.close();
    await writer.waitClosed();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'startTls() rejects at the call wrong arguments, and a stream that is too late for it',
  onNode(async (loop) => {
    const { server, port } = await listeningNodeServer();
    const [reader, writer] = await openConnection('127.0.0.1', port);
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const start = (...args: unknown[]) =>
      (writer.startTls as (...args: unknown[]) => unknown).apply(writer, args);
    assert.throws(() => start(), { ...type, message: /"ssl"/ });
    assert.throws(() => start(clientTls()), { ...type, message: /serverHostname/ });
    assert.throws(() => start(clientTls(), { ...HOST, serverSide: true }), {
      ...type,
      message: /serverSide/,
    });
    assert.throws(() => start(clientTls(), { ...HOST, signal: {} }), type);
    await assert.rejects(
      writer.startTls(clientTls(), { ...HOST, signal: AbortSignal.abort('no') }),
      (error) => error instanceof CancelledError && error.cause === 'no',
    );
    void loop;
    writer.close();
    assert.throws(() => start(clientTls(), HOST), { code: 'ERR_TRANSPORT_CLOSED' });
    await writer.waitClosed();
    assert.equal(reader.atEof(), true);
    await closed(server);

    // The peer has ended its side, so no handshake data will come.
    const { server: ending, port: endingPort } = await listeningNodeServer();
    ending.on('connection', (socket) => socket.end('bye'));
    const [late, lateWriter] = await openConnection('127.0.0.1', endingPort);
    while (!(await late.read(1)).length) await sleep(0);
    await late.readexactly(2);
    await late.read(1);
    await assert.rejects(lateWriter.startTls(clientTls(), HOST), { code: 'ERR_TRANSPORT_CLOSED' });
    lateWriter.write('it goes on as before');
    lateWriter.close();
    await lateWriter.waitClosed();
    await closed(ending);
  }),
);

test(
  'startTls() that fails, is cancelled or times out aborts the connection, and reads and drains throw its error',
  onNode(async (_loop, reports) => {
    for (const how of ['refused', 'timeout', 'cancel'] as const) {
      const before = socketCount();
      const serve: Serve = async (reader, writer) => {
        await reader.readline();
        if (how === 'refused') await writer.startTls(serverTls()).catch(() => {});
        // Otherwise the peer stays silent.
        await reader.read().catch(() => {});
        writer.close();
      };
      const server = await startServer(serve, '127.0.0.1', 0);
      const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
      writer.write('STARTTLS\n');
      const reading = reader.read();
      const failing = reading.then(
        () => null,
        (error: Error) => error,
      );
      const starting = writer.startTls(clientTls(), {
        serverHostname: how === 'refused' ? 'example.org' : 'localhost',
        sslHandshakeTimeout: how === 'timeout' ? 0.05 : 30,
      });
      if (how === 'cancel') {
        await sleep(0.02);
        starting.cancel();
      }
      await assert.rejects(starting, (error: Error & { code?: string }) => {
        if (how === 'refused') return error.code === 'ERR_TLS_CERT_ALTNAME_INVALID';
        return error instanceof (how === 'timeout' ? TimeoutError : CancelledError);
      });
      const error = await failing;
      if (how === 'cancel') assert.equal(error, null);
      else assert.ok(error instanceof Error);
      await writer.waitClosed().catch(() => {});
      assert.equal(writer.isClosing(), true);
      await assert.rejects(writer.drain());
      server.close();
      await server.waitClosed();
      await assertSockets(before, how);
    }
    assert.deepEqual(reports.takeMessages(), []);
  }),
);

test(
  'startTls() that is cancelled before the handshake began leaves the connection as it was',
  onNode(async (loop) => {
    const got = loop.createFuture<number>();
    let letGo = (): void => {};
    const serve: Serve = async (reader, writer) => {
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
      got.setResult((await reader.read()).length);
      writer.close();
    };
    const server = await startServer(serve, '127.0.0.1', 0);
    const [, writer] = await openConnection('127.0.0.1', portOf(server));
    // More than the kernel accepts, so that startTls() stays in drain().
    writer.write(Buffer.alloc(64 * 1024 * 1024));
    const starting = writer.startTls(clientTls(), HOST);
    await sleep(0.01);
    starting.cancel();
    await assert.rejects(starting, CancelledError);
    writer.write('in clear');
    writer.writeEof();
    letGo();
    assert.equal(await got, 64 * 1024 * 1024 + 8);
    writer.close();
    await writer.waitClosed();
    server.close();
    await server.waitClosed();
  }),
);

test(
  'a server callback that fails after startTls() aborts the new transport',
  onNode(async (_loop, reports) => {
    const serve: Serve = async (_reader, writer) => {
      await writer.startTls(serverTls());
      throw new Error('on purpose');
    };
    const server = await startServer(serve, '127.0.0.1', 0);
    const [reader, writer] = await openConnection('127.0.0.1', portOf(server));
    await writer.startTls(clientTls(), HOST);
    await assert.rejects(reader.read());
    server.close();
    await server.waitClosed();
    assert.equal(reports.takeMessages().length, 1);
    await writer.waitClosed().catch(() => {});
  }),
);

test(
  'a truncated TLS stream fails every read, after the data',
  onNode(async () => {
    const serve: Serve = async (reader, writer) => {
      writer.write('part');
      await reader.read().catch(() => {});
      writer.transport.abort();
    };
    const server = await startServer(serve, '127.0.0.1', 0, { ssl: serverTls() });
    const proxy = await faultyProxy(portOf(server), 'client');
    const [reader, writer] = await openConnection('127.0.0.1', proxy.port, { ssl: clientTls() });
    assert.equal(String(await reader.readexactly(4)), 'part');
    proxy.spoil('end');
    await assert.rejects(reader.read(), { code: 'ERR_TLS_TRUNCATED' });
    await assert.rejects(writer.waitClosed(), { code: 'ERR_TLS_TRUNCATED' });
    await proxy.close();
    server.close();
    await server.waitClosed();
  }),
);

test('startTls() that is called while the loop is stopped completes in the next run', async () => {
  const loop = new NodeEventLoop();
  const serve: Serve = async (reader, writer) => {
    await writer.startTls(serverTls());
    writer.write(await reader.readline());
    writer.close();
  };
  const [server, reader, writer] = await loop.runUntilComplete(async () => {
    const made = await startServer(serve, '127.0.0.1', 0);
    return [made, ...(await openConnection('127.0.0.1', portOf(made)))] as const;
  });
  const starting = writer.startTls(clientTls(), HOST);
  await loop.runUntilComplete(async () => {
    await starting;
    writer.write('hello\n');
    assert.equal(String(await reader.readline()), 'hello\n');
    writer.close();
    await writer.waitClosed();
    server.close();
    await server.waitClosed();
  });
  loop.close();
});
