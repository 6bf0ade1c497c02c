/** `loop.startTls()`. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { BaseEventLoop, Future, StreamProtocol, Transport } from '../../../src/index.ts';
import { CancelledError, NodeEventLoop, Protocol, sleep, TimeoutError } from '../../../src/index.ts';
import { bareLoop } from '../../helpers/bare-loop.ts';
import * as certificates from '../../helpers/certificates.ts';
import { clientTls, serverTls } from '../../helpers/certificates.ts';
import {
  cloggedPair,
  closed,
  foreignClient,
  onNode,
  portOf,
  Recorder,
  recorders,
} from '../../helpers/pairs.ts';
import { FakeTransport } from '../../streams/helpers.ts';
import { faultyProxy } from '../faulty-proxy.ts';
import { assertSockets, socketCount } from '../sockets.ts';
import { closedSocket, missing, Program } from './tls-peers.ts';

const HOST = { serverHostname: 'localhost' };
const SERVER = { serverSide: true };

/** Upgrades both sides of a connection. Each keeps its protocol unless it gets another one. */
async function upgraded(
  loop: BaseEventLoop,
  near: Recorder,
  far: Recorder,
  nearAfter: StreamProtocol = near,
  farAfter: StreamProtocol = far,
): Promise<[near: Transport, far: Transport]> {
  return Promise.all([
    loop.startTls(near.transport, nearAfter, clientTls(), HOST),
    loop.startTls(far.transport, farAfter, serverTls(), SERVER),
  ]);
}

test(
  'startTls() returns a new transport, and the protocol gets all later events without another connectionMade()',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    near.transport.write('in clear');
    await far.untilReceived(8);
    const [transport, farTransport] = await upgraded(loop, near, far);
    assert.notEqual(transport, near.transport);
    assert.equal(transport.getProtocol(), near as StreamProtocol);
    assert.notEqual(near.transport.getProtocol(), near as StreamProtocol);
    assert.match(transport.getExtraInfo('cipher')?.version ?? '', /TLS/);
    assert.deepEqual(transport.getExtraInfo('peername'), near.transport.getExtraInfo('peername'));
    transport.write(', and not');
    farTransport.write('answer');
    await far.untilReceived(17);
    await near.untilReceived(6);
    transport.close();
    await near.untilLost();
    await far.untilLost();
    assert.deepEqual([far.text, near.text], ['in clear, and not', 'answer']);
    assert.deepEqual(near.log, ['made', 'data', 'lost']);
    assert.deepEqual(far.log, ['made', 'data', 'eof', 'lost']);
    assert.deepEqual([near.exception, far.exception], [null, null]);
  }),
);

test(
  'startTls() with another protocol sends the old one no more events',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const [nearAfter, farAfter] = [new Recorder(), new Recorder()];
    const [transport] = await upgraded(loop, near, far, nearAfter, farAfter);
    transport.write('hello');
    await farAfter.untilReceived(5);
    transport.close();
    await nearAfter.untilLost();
    await farAfter.untilLost();
    assert.deepEqual([near.log, far.log], [['made'], ['made']]);
    assert.deepEqual([nearAfter.log, farAfter.log], [['lost'], ['data', 'eof', 'lost']]);
  }),
);

test(
  'startTls() accepts TLS bytes that the old protocol has read: a PROXY header and a ClientHello in one segment',
  onNode(async (loop) => {
    const header = 'PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n';
    const secure = new Recorder();
    let upgrading: Future<Transport> | null = null;
    class ProxyAware extends Protocol {
      #transport!: Transport;
      line: string = '';
      override connectionMade(transport: Transport): void {
        this.#transport = transport;
      }
      override dataReceived(data: Buffer): void {
        const end = data.indexOf('\r\n') + 2;
        this.line = data.subarray(0, end).toString();
        upgrading = loop.startTls(this.#transport, secure, serverTls(), {
          ...SERVER,
          received: data.subarray(end),
        });
      }
    }
    const plain = new ProxyAware();
    const server = await loop.createServer(() => plain, '127.0.0.1', 0);
    const hello = await clientHello(portOf(server), header);
    await hello.written;
    while (upgrading === null) await sleep(0);
    const transport = await (upgrading as Future<Transport>);
    assert.equal(plain.line, header);
    await hello.secure;
    hello.tls.write('hello');
    await secure.untilReceived(5);
    transport.write('welcome');
    await new Promise<void>((resolve) => {
      hello.tls.once('data', (data: Buffer) => {
        assert.equal(data.toString(), 'welcome');
        resolve();
      });
    });
    transport.close();
    await secure.untilLost();
    await closedSocket(hello.tls);
    server.close();
    await server.waitClosed();
  }),
);

/** A client of Node's. Its ClientHello leaves in one segment with `header`. */
async function clientHello(
  port: number,
  header: string,
): Promise<{ tls: TLSSocket; written: Promise<void>; secure: Promise<void> }> {
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.cork();
  socket.write(header);
  // Over a gyre stream, so that it is corked together with the header.
  const { Duplex } = await import('node:stream');
  const wire = new Duplex({
    read() {},
    write(data: Buffer, _encoding, done) {
      socket.write(data);
      done();
    },
  });
  socket.on('data', (data: Buffer) => wire.push(data));
  socket.on('error', () => {});
  socket.on('close', () => wire.destroy());
  const tls = connectTls({ socket: wire, servername: 'localhost', ...clientTls() });
  tls.on('error', () => {});
  // Node does not end a stream that may be half-closed by itself.
  tls.on('end', () => tls.end());
  tls.on('close', () => socket.destroy());
  const written = new Promise<void>((resolve) => {
    setImmediate(() => {
      socket.uncork();
      resolve();
    });
  });
  return { tls, written, secure: new Promise((resolve) => tls.once('secureConnect', () => resolve())) };
}

test(
  'startTls() serves STARTTLS of real programs, on the server and on the client',
  { skip: missing('openssl') },
  onNode(async (loop) => {
    // openssl s_client sends EHLO and STARTTLS by itself.
    const secure = new Recorder();
    class Mail extends Protocol {
      #transport!: Transport;
      override connectionMade(transport: Transport): void {
        this.#transport = transport;
        transport.write('220 mail.example.org ESMTP\r\n');
      }
      override dataReceived(data: Buffer): void {
        if (data.toString().startsWith('EHLO')) {
          this.#transport.write('250-mail.example.org\r\n250 STARTTLS\r\n');
          return;
        }
        this.#transport.write('220 go ahead\r\n');
        void loop
          .startTls(this.#transport, secure, serverTls(), SERVER)
          .then((transport) => transport.write('250 in secret\r\n'));
      }
    }
    const server = await loop.createServer(() => new Mail(), '127.0.0.1', 0);
    const program = new Program('openssl', [
      ...['s_client', '-connect', `127.0.0.1:${portOf(server)}`, '-starttls', 'smtp'],
      ...['-CAfile', certificates.certificatePath('ca'), '-verify_return_error'],
    ]);
    await program.until(/250 in secret/);
    program.say('NOOP\n');
    await secure.untilReceived(5);
    program.say('Q\n');
    await secure.untilLost();
    assert.deepEqual([secure.text, secure.exception], ['NOOP\n', null]);
    await program.ended();
    server.close();
    await server.waitClosed();
  }),
);

// --- wrong use ---

test(
  'startTls() rejects at the call transports that cannot be upgraded, and leaves the connection alone',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const type = 'ERR_INVALID_ARG_TYPE';
    const start = (...args: unknown[]) =>
      (loop.startTls as (...args: unknown[]) => unknown).apply(loop, args);
    const { transport } = near;
    const cases: [unknown[], string, RegExp][] = [
      [[{}, near, clientTls(), HOST], type, /"transport"/],
      [[null, near, clientTls(), HOST], type, /"transport"/],
      [[transport, null, clientTls(), HOST], type, /"protocol"/],
      [[transport, { dataReceived: 1 }, clientTls(), HOST], type, /"protocol\.dataReceived"/],
      [[transport, near, null, HOST], type, /"ssl"/],
      [[transport, near, false, HOST], type, /ssl/],
      [[transport, near, 'yes', HOST], type, /ssl/],
      [[transport, near, true, SERVER], type, /ssl/],
      [[transport, near, {}, SERVER], type, /"ssl\.cert"/],
      [[transport, near, clientTls()], type, /"options\.serverHostname"/],
      [[transport, near, clientTls(), {}], type, /"options\.serverHostname"/],
      [[transport, near, clientTls(), { serverHostname: 1 }], type, /"options\.serverHostname"/],
      [[transport, near, serverTls(), { ...SERVER, ...HOST }], type, /"options\.serverHostname"/],
      [[transport, near, clientTls(), { ...HOST, serverSide: 1 }], type, /"options\.serverSide"/],
      [[transport, near, clientTls(), { ...HOST, received: 'x' }], type, /"options\.received"/],
      [[transport, near, clientTls(), { ...HOST, signal: 1 }], type, /"options\.signal"/],
      [[transport, near, clientTls(), { ...HOST, ssl: true }], type, /"options\.ssl"/],
      [[transport, near, clientTls(), { ...HOST, sslHandshakeTimeout: 0 }], 'ERR_OUT_OF_RANGE', /Handshake/],
      [[transport, near, clientTls(), { ...HOST, sslShutdownTimeout: -1 }], 'ERR_OUT_OF_RANGE', /Shutdown/],
    ];
    for (const [args, code, message] of cases) assert.throws(() => start(...args), { code, message });
    await assert.rejects(
      loop.startTls(transport, near, clientTls(), { ...HOST, signal: AbortSignal.abort('no') }),
      (error) => error instanceof CancelledError && error.cause === 'no',
    );
    transport.write('still here');
    await far.untilReceived(10);
    transport.close();
    assert.throws(() => start(transport, near, clientTls(), HOST), { code: 'ERR_TRANSPORT_CLOSED' });
    await near.untilLost();
    await far.untilLost();
    assert.throws(() => start(transport, near, clientTls(), HOST), { code: 'ERR_TRANSPORT_CLOSED' });
  }),
);

test(
  'startTls() rejects a connection that has TLS, or that is being upgraded, without harm',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const old = near.transport;
    const again = (): unknown => loop.startTls(old, near, clientTls(), HOST);
    const refused = { name: 'InvalidStateError', message: /startTls\(\)/ };
    const server = loop.startTls(far.transport, far, serverTls(), SERVER);
    const client = loop.startTls(old, near, clientTls(), HOST);
    assert.throws(again, refused);
    const [upper] = await Promise.all([client, server]);
    assert.throws(again, refused);
    upper.write('all is well');
    await far.untilReceived(11);
    upper.close();
    await near.untilLost();
    await far.untilLost();
  }),
);

test('startTls() on a closed loop, and on one without TLS, throws at the call', () => {
  const loop = new NodeEventLoop();
  loop.close();
  assert.throws(() => loop.startTls(new FakeTransport(), {}, clientTls(), HOST), { code: 'ERR_LOOP_CLOSED' });
  const bare = bareLoop();
  assert.throws(() => bare.startTls(new FakeTransport(), {}, clientTls(), HOST), {
    code: 'ERR_UNSUPPORTED',
    message: /NodeEventLoop has it/,
  });
  bare.close();
});

// --- failures ---

test(
  'startTls() whose handshake fails rejects, aborts the connection, and passes the error to connectionLost()',
  onNode(async (loop, reports) => {
    for (const [ssl, host, code] of [
      [true, 'localhost', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [clientTls(), 'example.org', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ] as const) {
      const { near, far } = await recorders(loop);
      const accepting = loop.startTls(far.transport, far, serverTls(), SERVER);
      accepting._ignoreException();
      await assert.rejects(loop.startTls(near.transport, near, ssl, { serverHostname: host }), { code });
      await near.untilLost();
      await far.untilLost();
      assert.equal((near.exception as { code?: string }).code, code);
      assert.deepEqual(near.log, ['made', 'lost']);
      // TLS decides whether this side was done before the other one refused.
      assert.ok(far.exception instanceof Error);
      assert.equal(near.transport.isClosing(), true);
    }
    assert.deepEqual(reports.takeMessages(), []);
  }),
);

test(
  'startTls() that times out, is cancelled or aborted by a signal aborts the connection',
  onNode(async (loop) => {
    for (const how of ['timeout', 'cancel', 'signal', 'transport'] as const) {
      const near = new Recorder();
      const { transport, socket } = await foreignClient(loop, near);
      const before = socketCount();
      const controller = new AbortController();
      const starting = loop.startTls(transport, near, clientTls(), {
        ...HOST,
        signal: controller.signal,
        ...(how === 'timeout' ? { sslHandshakeTimeout: 0.05 } : {}),
      });
      await sleep(0.01);
      if (how === 'cancel') starting.cancel();
      if (how === 'signal') controller.abort();
      // By another holder of the transport.
      if (how === 'transport') transport.abort();
      const kind = how === 'timeout' ? TimeoutError : how === 'transport' ? Error : CancelledError;
      await assert.rejects(starting, (error) => error instanceof kind);
      await near.untilLost();
      assert.deepEqual(near.log, ['made', 'lost']);
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
      await closed(socket);
      await assertSockets(Math.max(0, before - 2), how);
    }
  }),
);

test(
  'startTls() fails with ECONNRESET if the peer ends or resets, and with OpenSSL’s error for garbage',
  onNode(async (loop) => {
    for (const how of ['end', 'reset', 'garbage'] as const) {
      const near = new Recorder();
      const { transport, socket } = await foreignClient(loop, near);
      const starting = loop.startTls(transport, near, clientTls(), HOST);
      await sleep(0.005);
      if (how === 'end') socket.end();
      if (how === 'reset') socket.resetAndDestroy();
      if (how === 'garbage') socket.write('220 go ahead\r\n220 go ahead\r\n');
      await assert.rejects(starting, {
        code: how === 'garbage' ? 'ERR_SSL_WRONG_VERSION_NUMBER' : 'ECONNRESET',
      });
      await near.untilLost();
      assert.ok(near.exception instanceof Error);
      await closed(socket);
    }
  }),
);

test(
  'startTls() that is cancelled at any turn leaves nothing on either side',
  onNode(async (loop, reports) => {
    const before = socketCount();
    for (
      let turns = 0, ended = 0;
      ended < 3 && turns < 5000;
      turns = turns < 50 ? turns + 1 : Math.ceil(turns * 1.3)
    ) {
      const { near, far } = await recorders(loop);
      const accepting = loop.startTls(far.transport, far, serverTls(), SERVER);
      accepting._ignoreException();
      const connecting = loop.startTls(near.transport, near, clientTls(), HOST);
      for (let i = 0; i < turns && !connecting.done(); i++) await sleep(0);
      if (connecting.done()) ended++;
      connecting.cancel();
      await connecting.then(
        (transport) => transport.close(),
        () => {},
      );
      await near.untilLost();
      await far.untilLost();
      assert.deepEqual([near.log.filter((word) => word === 'lost').length, far.log.length > 1], [1, true]);
      await assertSockets(before, `after ${turns} turns`);
    }
    assert.deepEqual(reports.takeMessages(), []);
  }),
);

test(
  'startTls() on a clogged connection sends earlier data first, in clear, and resumes the writer',
  onNode(async (loop) => {
    const { near, far, written } = await cloggedPair(loop);
    const connecting = loop.startTls(near.transport, near, clientTls(), HOST);
    far.transport.resumeReading();
    await far.untilReceived(written);
    // The ClientHello follows, which this side does not expect yet.
    await far.until(() => far.received > written);
    const hello = Buffer.concat(far.chunks).subarray(written);
    const accepting = loop.startTls(far.transport, far, serverTls(), { ...SERVER, received: hello });
    const [transport, farTransport] = await Promise.all([connecting, accepting]);
    assert.deepEqual(near.log, ['made', 'pause', 'resume']);
    farTransport.write('after');
    await near.untilReceived(5);
    transport.close();
    await near.untilLost();
    await far.untilLost();
  }),
);

test(
  'startTls() works for a protocol that had paused the connection',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    near.transport.pauseReading();
    far.transport.pauseReading();
    const [transport, farTransport] = await upgraded(loop, near, far);
    assert.deepEqual([transport.isReading(), farTransport.isReading()], [true, true]);
    transport.write('through');
    await far.untilReceived(7);
    transport.close();
    await near.untilLost();
    await far.untilLost();
  }),
);

test(
  'startTls() holds data after the handshake until the caller has the new transport',
  onNode(async (loop) => {
    for (let i = 0; i < 20; i++) {
      const { near, far } = await recorders(loop);
      let transport: Transport | null = null;
      const order: string[] = [];
      const after = new Recorder();
      const received = after.dataReceived;
      after.dataReceived = (data) => {
        order.push(transport === null ? 'data too early' : 'data');
        received.call(after, data);
      };
      const accepting = loop.startTls(far.transport, far, serverTls(), SERVER);
      const writing = (async () => (await accepting).write('at once'))();
      transport = await loop.startTls(near.transport, after, clientTls(), HOST);
      order.push('answered');
      await writing;
      await after.untilReceived(7);
      assert.deepEqual(order, ['answered', 'data']);
      transport.close();
      await after.untilLost();
      await far.untilLost();
    }
  }),
);

test('a loop that is closed in the middle of startTls() leaves nothing', async () => {
  for (let turns = 0; turns < 40; turns += 3) {
    const before = socketCount();
    const loop = new NodeEventLoop();
    loop.setExceptionHandler(() => {});
    await loop.runUntilComplete(async () => {
      const { near, far } = await recorders(loop);
      for (const starting of [
        loop.startTls(far.transport, far, serverTls(), SERVER),
        loop.startTls(near.transport, near, clientTls(), HOST),
      ]) {
        starting._ignoreException();
      }
      for (let i = 0; i < turns; i++) await sleep(0);
    });
    loop.close();
    await assertSockets(before, `after ${turns} turns`);
  }
});

test(
  'a server closes an upgraded connection as TLS, and counts it once',
  onNode(async (loop) => {
    for (const how of ['closeClients', 'abortClients'] as const) {
      const far = new Recorder();
      const near = new Recorder();
      const server = await loop.createServer(() => far, '127.0.0.1', 0);
      await loop.createConnection(() => near, '127.0.0.1', portOf(server));
      await far.untilTold('made');
      await upgraded(loop, near, far);
      server.close();
      const waiting = server.waitClosed();
      await sleep(0.01);
      assert.equal(waiting.done(), false);
      server[how]();
      await near.untilLost();
      await waiting;
      assert.equal(far.lost, true);
      if (how === 'closeClients')
        assert.deepEqual([near.log, near.exception], [['made', 'eof', 'lost'], null]);
      else assert.ok(near.exception instanceof Error);
    }
  }),
);

test(
  'an upgraded connection reports truncation',
  onNode(async (loop) => {
    const far = new Recorder();
    const server = await loop.createServer(() => far, '127.0.0.1', 0);
    const proxy = await faultyProxy(portOf(server), 'client');
    const near = new Recorder();
    await loop.createConnection(() => near, '127.0.0.1', proxy.port);
    await far.untilTold('made');
    const [, farTransport] = await upgraded(loop, near, far);
    farTransport.write('part of it');
    await near.untilReceived(10);
    proxy.spoil('end');
    await near.untilLost();
    assert.equal((near.exception as { code?: string }).code, 'ERR_TLS_TRUNCATED');
    farTransport.abort();
    await far.untilLost();
    await proxy.close();
    server.close();
    await server.waitClosed();
  }),
);
