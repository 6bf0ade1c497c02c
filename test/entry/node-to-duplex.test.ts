/** `toDuplex`: it behaves like a socket of Node's own, for its listeners, its peer and its transport. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TransportDuplex } from '../../src/entry/node.ts';
import { connectDuplex, toDuplex } from '../../src/entry/node.ts';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { BaseEventLoop } from '../../src/index.ts';
import { currentTask, getRunningLoop, LoopError, NodeEventLoop, Protocol, sleep } from '../../src/index.ts';
import { ca, server as certificate } from '../helpers/certificates.ts';
import { hostPasses } from '../helpers/host-pass.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import {
  closed,
  connectedPair,
  foreignClient,
  foreignServer,
  listeningNodeServer,
  onNode,
  portOf,
  Recorder,
} from '../helpers/pairs.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import { ManualTransport } from './manual-transport.ts';

const MEBIBYTE = 1024 * 1024;

/** A duplex over a loopback connection, and the recorder at its other end. */
async function duplexAndPeer(
  loop: BaseEventLoop,
  options: Parameters<typeof toDuplex>[1] = {},
): Promise<{ duplex: TransportDuplex; peer: Recorder }> {
  const peer = new Recorder();
  const { near } = await connectedPair(loop, new Protocol(), peer);
  return { duplex: toDuplex(near, options), peer };
}

/** The events of a stream, in order. */
function logOf(stream: Duplex): string[] {
  const log: string[] = [];
  for (const name of ['end', 'finish', 'close']) stream.on(name, () => log.push(name));
  stream.on('error', (error: NodeJS.ErrnoException) => log.push(`error ${error.code ?? error.message}`));
  return log;
}

/** A duplex over a transport that the test controls, on a simulated loop. */
function onManual(
  body: (transport: ManualTransport, duplex: TransportDuplex, loop: SimulatedEventLoop) => Promise<void>,
  options: Parameters<typeof toDuplex>[1] = {},
  transport: () => ManualTransport = () => new ManualTransport(),
): () => Promise<void> {
  return () =>
    withLoop(
      () => new SimulatedEventLoop(),
      (loop) =>
        loop.runUntilComplete(async () => {
          const manual = transport();
          await body(manual, toDuplex(manual, options), loop);
        }),
    );
}

async function untilClosed(stream: Duplex): Promise<void> {
  if (!stream.closed) await once(stream, 'close');
}

test(
  'toDuplex() carries data in both directions, in order',
  onNode(async (loop) => {
    const { duplex, peer } = await duplexAndPeer(loop);
    duplex.write('one ');
    duplex.write(Buffer.from('two '));
    duplex.cork();
    duplex.write('three ');
    duplex.write('four');
    duplex.uncork();
    await peer.untilReceived(18);
    assert.equal(peer.text, 'one two three four');
    peer.transport.write('answer');
    peer.transport.close();
    let text = '';
    for await (const data of duplex) text += String(data);
    assert.equal(text, 'answer');
    await untilClosed(duplex);
    assert.deepEqual([duplex.bytesWritten, duplex.bytesRead], [18, 6]);
    await peer.untilLost();
  }),
);

/** The scenarios of one side of a connection. Each stream is read unless its scenario says otherwise. */
const scenarios: Record<
  string,
  { halfOpen?: boolean; act(stream: Socket | TransportDuplex, peer: Socket): Promise<void> | void }
> = {
  'the peer ends': {
    act(_stream, peer) {
      peer.end('bye');
    },
  },
  'the peer ends, and the stream may stay half open': {
    halfOpen: true,
    async act(stream, peer) {
      peer.end('bye');
      await once(stream, 'end');
      stream.end('so long');
    },
  },
  'the stream ends first, and its peer later': {
    async act(stream, peer) {
      stream.end('bye');
      await once(peer, 'end');
      peer.end('so long');
    },
  },
  'the stream is destroyed': {
    act(stream) {
      stream.destroy();
    },
  },
  'the stream is destroyed with an error': {
    act(stream) {
      stream.destroy(new Error('enough'));
    },
  },
  'the stream is destroyed once it has ended': {
    act(stream) {
      stream.write('bye');
      (stream as Socket).destroySoon();
    },
  },
  'the peer resets': {
    async act(stream, peer) {
      stream.write('hello');
      await once(peer, 'data');
      peer.resetAndDestroy();
    },
  },
  'the stream resets': {
    act(stream) {
      stream.resetAndDestroy();
    },
  },
  'nobody reads, and the peer ends without data': {
    async act(stream, peer) {
      stream.pause();
      peer.end();
      await once(peer, 'close');
    },
  },
};

for (const [title, { halfOpen = false, act }] of Object.entries(scenarios)) {
  test(
    `toDuplex() emits the events of a Node socket in the same order when ${title}`,
    onNode(async (loop) => {
      const logs: { stream: string[]; peer: string[] }[] = [];
      for (const kind of ['node', 'gyre']) {
        const { server, port } = await listeningNodeServer();
        const accepted = once(server, 'connection');
        let stream: Socket | TransportDuplex;
        if (kind === 'node') {
          stream = connect({ port, host: '127.0.0.1', allowHalfOpen: halfOpen });
          await once(stream, 'connect');
        } else {
          const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
          stream = toDuplex(transport, { allowHalfOpen: halfOpen });
        }
        const [peer] = (await accepted) as [Socket];
        const log = { stream: logOf(stream), peer: logOf(peer) };
        stream.on('data', () => {});
        peer.on('data', () => {});
        peer.on('end', () => peer.end());
        const ended = Promise.all([once(stream, 'close'), once(peer, 'close')]);
        ended.catch(() => {});
        await act(stream, peer);
        while (!log.stream.includes('close') || !log.peer.includes('close')) await sleep(0.001);
        logs.push(log);
        await closed(server);
      }
      assert.deepEqual(logs[1], logs[0]);
    }),
  );
}

test(
  'toDuplex() pauses the transport for unread data, and loses none of it',
  onNode(async (loop) => {
    const { duplex, peer } = await duplexAndPeer(loop);
    const piece = Buffer.alloc(MEBIBYTE, 'x');
    for (let i = 0; i < 64; i++) peer.transport.write(piece);
    await peer.untilTold('pause');
    for (let i = 0; i < 200; i++) await sleep(0);
    assert.ok(duplex.readableLength < MEBIBYTE, `${duplex.readableLength} bytes were buffered`);
    peer.transport.close();
    let bytes = 0;
    for await (const data of duplex) bytes += (data as Buffer).length;
    assert.equal(bytes, 64 * MEBIBYTE);
    await untilClosed(duplex);
    await peer.untilLost();
  }),
);

test(
  'toDuplex(): a write above the high-water mark completes once the peer has read',
  onNode(async (loop) => {
    const { duplex, peer } = await duplexAndPeer(loop);
    peer.transport.pauseReading();
    const piece = Buffer.alloc(MEBIBYTE, 'x');
    let done = 0;
    for (let i = 0; i < 64; i++) duplex.write(piece, () => done++);
    assert.equal(duplex.writableNeedDrain, true);
    for (let i = 0; i < 200; i++) await sleep(0);
    assert.ok(done < 60, `${done} of 64 MiB were taken though nobody reads`);
    assert.ok(duplex.writableLength > 0);
    const drained = once(duplex, 'drain');
    peer.transport.resumeReading();
    await drained;
    assert.equal(done, 64);
    duplex.end();
    await peer.untilLost();
    assert.equal(peer.received, 64 * MEBIBYTE);
    duplex.resume();
    await finished(duplex);
  }),
);

test(
  'toDuplex(): pause() stops flowing data, which continues after it',
  onNode(async (loop) => {
    const { duplex, peer } = await duplexAndPeer(loop);
    let text = '';
    duplex.on('data', (data) => {
      text += String(data);
    });
    peer.transport.write('one');
    while (text !== 'one') await sleep(0);
    duplex.pause();
    peer.transport.write('two');
    for (let i = 0; i < 50; i++) await sleep(0);
    assert.equal(text.length, 3);
    duplex.resume();
    while (text.length < 6) await sleep(0);
    assert.equal(text, 'onetwo');
    duplex.destroy();
    await once(duplex, 'close');
    await peer.untilLost();
  }),
);

test(
  'toDuplex() emits finish once everything has left, and not before',
  onManual(async (transport, duplex) => {
    transport.takesAll = false;
    const log = logOf(duplex);
    duplex.end('hello');
    await hostPasses();
    assert.deepEqual(transport.calls, ['write 5', 'writeEof']);
    assert.deepEqual(log, []);
    transport.flush();
    await hostPasses();
    assert.deepEqual(log, ['finish']);
    transport.receiveEnd();
    duplex.resume();
    await hostPasses();
    transport.lose(null);
    await hostPasses();
    assert.deepEqual(log, ['finish', 'end', 'close']);
  }),
);

test(
  'toDuplex(): end() closes a transport without half-close',
  onManual(
    async (transport, duplex) => {
      const log = logOf(duplex);
      duplex.end('hello');
      await hostPasses();
      assert.deepEqual(transport.calls, ['write 5', 'close']);
      transport.lose(null);
      duplex.resume();
      await hostPasses();
      assert.deepEqual(log, ['finish', 'close']);
    },
    {},
    () => Object.assign(new ManualTransport(), { halfClose: false }),
  ),
);

test(
  'toDuplex(): destroy() drops unsent data, and aborts',
  onManual(async (transport, duplex) => {
    transport.takesAll = false;
    duplex.write('hello');
    duplex.destroy();
    await hostPasses();
    await sleep(0);
    await sleep(0);
    await sleep(0);
    assert.deepEqual(transport.calls, ['write 5', 'close', 'abort']);
    assert.equal(duplex.closed, false);
    transport.lose(null);
    await hostPasses();
    assert.equal(duplex.closed, true);
  }),
);

test(
  'toDuplex(): writes of the turn of destroy() still leave',
  onNode(async (loop) => {
    const peer = new Recorder();
    const { near } = await connectedPair(loop, new Protocol(), peer);
    const duplex = toDuplex(near);
    duplex.on('error', () => {});
    duplex.write('400 Bad Request');
    duplex.destroy(new Error('what a request'));
    await once(duplex, 'close').catch(() => {});
    await peer.untilLost();
    assert.deepEqual([peer.text, peer.exception], ['400 Bad Request', null]);
  }),
);

test(
  'toDuplex(): destroy() ends although the peer does not read',
  onNode(async (loop) => {
    const { duplex, peer } = await duplexAndPeer(loop);
    peer.transport.pauseReading();
    const piece = Buffer.alloc(MEBIBYTE, 'x');
    const errors: (Error | null | undefined)[] = [];
    for (let i = 0; i < 64; i++) duplex.write(piece, (error) => errors.push(error));
    for (let i = 0; i < 50; i++) await sleep(0);
    const taken = errors.length;
    assert.ok(taken < 60, `${taken} of 64 MiB were taken though nobody reads`);
    duplex.destroy();
    await once(duplex, 'close');
    assert.equal(errors.length, 64);
    assert.ok(errors.slice(taken).every((error) => error instanceof Error));
    peer.transport.resumeReading();
    await peer.untilLost();
  }),
);

test(
  'toDuplex(): resetAndDestroy() calls abort()',
  onManual(async (transport, duplex) => {
    duplex.resetAndDestroy();
    assert.deepEqual(transport.calls, ['abort']);
    transport.lose(null);
    await hostPasses();
    assert.equal(duplex.closed, true);
  }),
);

test(
  'toDuplex() reports an error to a reader after the data that came before it',
  onManual(async (transport, duplex) => {
    const log = logOf(duplex);
    transport.receive('one ');
    transport.receive('two');
    transport.lose(Object.assign(new Error('gone'), { code: 'ECONNRESET' }));
    await hostPasses();
    assert.deepEqual(log, []);
    const texts: string[] = [];
    await assert.rejects(async () => {
      for await (const data of duplex) texts.push(String(data));
    }, /gone/);
    assert.equal(texts.join(''), 'one two');
    await hostPasses();
    assert.deepEqual(log, ['error ECONNRESET', 'close']);
  }),
);

test(
  'toDuplex() reports an error to a writer at once',
  onManual(async (transport, duplex) => {
    const log = logOf(duplex);
    transport.receive('unread');
    transport.lose(Object.assign(new Error('gone'), { code: 'ECONNRESET' }));
    const [error] = await new Promise<[unknown]>((resolve) => {
      duplex.write('hello', (failure) => resolve([failure]));
    });
    assert.match(String(error), /gone/);
    await hostPasses();
    assert.deepEqual(log, ['error ECONNRESET', 'close']);
  }),
);

test(
  'toDuplex(): a pending write fails when the connection is lost',
  onManual(async (transport, duplex) => {
    const log = logOf(duplex);
    transport.takesAll = false;
    transport.high = 0;
    const failures: unknown[] = [];
    duplex.write('hello', (error) => failures.push(error));
    await hostPasses();
    assert.equal(failures.length, 0);
    transport.lose(null);
    await hostPasses();
    assert.equal((failures[0] as LoopError).code, 'ERR_TRANSPORT_CLOSED');
    assert.deepEqual(log, ['error ERR_TRANSPORT_CLOSED', 'close']);
  }),
);

test(
  'toDuplex(): a write to a transport that other code closes fails',
  onManual(async (transport, duplex) => {
    const log = logOf(duplex);
    transport.close();
    duplex.write('hello');
    await hostPasses();
    transport.lose(null);
    await hostPasses();
    assert.deepEqual(transport.calls, ['close', 'close']);
    assert.deepEqual(log, ['error ERR_TRANSPORT_CLOSED', 'close']);
  }),
);

test(
  'toDuplex(): a transport that other code closes closes the duplex after its data, without an end',
  onManual(
    async (transport, duplex) => {
      const log = logOf(duplex);
      transport.receive('last words');
      transport.lose(null);
      await hostPasses();
      assert.deepEqual(log, []);
      assert.equal(String(duplex.read()), 'last words');
      await hostPasses();
      assert.deepEqual(log, ['close']);
    },
    { allowHalfOpen: true },
  ),
);

test(
  'toDuplex(): a transport that is lost after the peer’s end ends the writing side, too',
  onManual(
    async (transport, duplex) => {
      const log = logOf(duplex);
      transport.receive('last words');
      transport.receiveEnd();
      transport.lose(null);
      await hostPasses();
      assert.deepEqual(log, []);
      duplex.resume();
      await hostPasses();
      assert.deepEqual(log, ['end', 'finish', 'close']);
    },
    { allowHalfOpen: true },
  ),
);

test(
  'toDuplex(): destroy() lets a transport without half-close finish, unless it is clogged',
  onManual(
    async (transport, duplex, loop) => {
      transport.takesAll = false;
      duplex.write(Buffer.alloc(1000));
      duplex.destroy();
      await sleep(10);
      assert.deepEqual(transport.calls, ['write 1000', 'close']);
      transport.lose(null);

      const clogged = Object.assign(new ManualTransport(), { halfClose: false, takesAll: false });
      const other = toDuplex(clogged, { loop });
      other.write(Buffer.alloc(100_000));
      other.destroy();
      assert.deepEqual(clogged.calls, ['write 100000', 'abort']);
      clogged.lose(null);
    },
    {},
    () => Object.assign(new ManualTransport(), { halfClose: false }),
  ),
);

test(
  'toDuplex() reads the data first that an earlier protocol has received',
  onNode(async (loop) => {
    const peer = new Recorder();
    const { near } = await connectedPair(loop, new Protocol(), peer);
    const duplex = toDuplex(near, { received: Buffer.from('early ') });
    peer.transport.write('late');
    peer.transport.close();
    let text = '';
    for await (const data of duplex) text += String(data);
    assert.equal(text, 'early late');
    await untilClosed(duplex);
    await peer.untilLost();
  }),
);

test(
  'toDuplex() resumes a transport that was paused',
  onNode(async (loop) => {
    const peer = new Recorder();
    const { near } = await connectedPair(loop, new Protocol(), peer);
    near.pauseReading();
    peer.transport.write('waits');
    const duplex = toDuplex(near);
    const [data] = (await once(duplex, 'data')) as [Buffer];
    assert.equal(data.toString(), 'waits');
    duplex.end();
    await once(duplex, 'close');
    await peer.untilLost();
  }),
);

test(
  'toDuplex(): the first write waits for the full buffer of an earlier owner',
  onManual(
    async (transport, duplex) => {
      let done = false;
      duplex.write('hello', () => {
        done = true;
      });
      await hostPasses();
      assert.equal(done, false);
      transport.flush();
      await hostPasses();
      assert.equal(done, true);
      duplex.destroy();
      transport.lose(null);
    },
    {},
    () => {
      const transport = Object.assign(new ManualTransport(), { takesAll: false });
      transport.setProtocol(new Protocol());
      transport.write(Buffer.alloc(100_000));
      return transport;
    },
  ),
);

test(
  'toDuplex(): setTimeout() uses the clock of the loop, and counts from the last byte in either direction',
  onManual(async (transport, duplex, loop) => {
    const times: number[] = [];
    duplex.on('timeout', () => times.push(loop.time()));
    assert.equal(duplex.setTimeout(10_000), duplex);
    assert.equal(duplex.timeout, 10_000);
    await sleep(6);
    transport.receive('data');
    await sleep(6);
    duplex.write('data');
    await sleep(9);
    assert.deepEqual(times, []);
    await sleep(60);
    assert.deepEqual(times, [22]);
    transport.receive('again');
    await sleep(60);
    assert.deepEqual(times, [22, 91]);
    duplex.write('and again');
    duplex.setTimeout(0);
    await sleep(60);
    assert.deepEqual(times, [22, 91]);
    duplex.destroy();
    transport.lose(null);
  }),
);

test(
  'toDuplex(): a peer that accepts earlier writes is not idle',
  onManual(async (transport, duplex, loop) => {
    transport.takesAll = false;
    let idleAt = 0;
    duplex.setTimeout(10_000, () => {
      idleAt = loop.time();
    });
    duplex.write(Buffer.alloc(1000));
    await sleep(8);
    transport.flush(500);
    await sleep(8);
    assert.equal(idleAt, 0);
    await sleep(60);
    assert.equal(idleAt, 20);
    duplex.destroy();
    transport.lose(null);
  }),
);

test(
  'toDuplex(): setTimeout() fires after an earlier timer of the host with the same length',
  onNode(async (loop) => {
    const { duplex, peer } = await duplexAndPeer(loop);
    const log: string[] = [];
    let done = false;
    // In turn after turn, so that one comes between the deadline and the host's timers.
    const turn = (): void => {
      for (const until = performance.now() + 0.2; performance.now() < until; );
      if (!done) loop.callSoon(turn);
    };
    turn();
    for (let i = 0; i < 50; i++) {
      const idle = once(duplex, 'timeout');
      // biome-ignore lint/style/noRestrictedGlobals: the order of the host's timers is the subject
      setTimeout(() => log.push('host'), 2);
      duplex.setTimeout(2);
      await idle;
      log.push('idle');
    }
    done = true;
    assert.deepEqual(log, Array(50).fill(['host', 'idle']).flat());
    duplex.destroy();
    await peer.untilLost();
  }),
);

test(
  'toDuplex(): setTimeout(0), and received data, cancel a timeout that is due',
  onManual(async (transport, duplex) => {
    const idle: string[] = [];
    duplex.on('timeout', () => idle.push('timeout'));
    const loop = getRunningLoop();
    for (const act of [() => transport.receive('data'), () => duplex.setTimeout(0)]) {
      duplex.setTimeout(10_000);
      // Both are due in one turn, this one after the duplex's own.
      loop.callLater(10, act);
      await sleep(15);
      assert.deepEqual(idle, []);
    }
    duplex.destroy();
    transport.lose(null);
  }),
);

test(
  'toDuplex(): a destroyed duplex has no timer',
  onManual(async (transport, duplex) => {
    duplex.setTimeout(10_000, () => assert.fail('it is destroyed'));
    duplex.destroy();
    duplex.setTimeout(10_000);
    await sleep(60);
    transport.lose(null);
    await sleep(60);
  }),
);

test(
  'toDuplex(): setTimeout() rejects wrong arguments',
  onManual(async (transport, duplex) => {
    assert.throws(() => duplex.setTimeout('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => duplex.setTimeout(-1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => duplex.setTimeout(Number.NaN), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => duplex.setTimeout(1, 1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    duplex.destroy();
    transport.lose(null);
  }),
);

test(
  'toDuplex(): the close event says whether there was an error, as a Node socket’s does',
  onNode(async (loop) => {
    for (const error of [undefined, new Error('bug')]) {
      const { duplex, peer } = await duplexAndPeer(loop);
      duplex.on('error', () => {});
      const hadError = new Promise((resolve) => duplex.once('close', resolve));
      duplex.destroy(error);
      assert.equal(await hadError, error !== undefined);
      await peer.untilLost();
    }
  }),
);

test(
  'toDuplex() has the addresses and states of a socket',
  onNode(async (loop) => {
    const peer = new Recorder();
    const { transport, socket } = await foreignServer(loop, peer);
    const duplex = toDuplex(transport);
    assert.deepEqual(
      [duplex.remoteAddress, duplex.remotePort, duplex.remoteFamily],
      [socket.localAddress, socket.localPort, socket.localFamily],
    );
    assert.deepEqual(
      [duplex.localAddress, duplex.localPort, duplex.localFamily],
      [socket.remoteAddress, socket.remotePort, socket.remoteFamily],
    );
    assert.deepEqual(duplex.address(), {
      address: socket.remoteAddress,
      port: socket.remotePort,
      family: socket.remoteFamily,
    });
    assert.deepEqual([duplex.connecting, duplex.pending, duplex.readyState], [false, false, 'open']);
    assert.deepEqual(
      [duplex.encrypted, duplex.authorized, duplex.alpnProtocol],
      [undefined, undefined, undefined],
    );
    assert.equal(duplex.setNoDelay().setKeepAlive(true, 1000).ref().unref(), duplex);
    duplex.end();
    assert.equal(duplex.readyState, 'readOnly');
    socket.end();
    duplex.resume();
    await once(duplex, 'close');
    assert.equal(duplex.readyState, 'closed');
    await closed(socket);
  }),
);

test(
  'toDuplex() shows TLS by the properties of a Node TLS socket',
  onManual(
    async (transport, duplex) => {
      assert.deepEqual([duplex.encrypted, duplex.authorized, duplex.alpnProtocol], [true, true, 'h2']);
      assert.deepEqual(duplex.getPeerCertificate(), { subject: { CN: 'here' } });
      assert.equal(duplex.address().port, undefined);
      duplex.destroy();
      transport.lose(null);
    },
    {},
    () =>
      new ManualTransport({
        sslObject: {
          authorized: true,
          alpnProtocol: 'h2',
          getPeerCertificate: () => ({ subject: { CN: 'here' } }),
        },
      }),
  ),
);

test(
  'toDuplex() over TLS of gyre shows the session, and sends encrypted data before it closes',
  onNode(async (loop) => {
    const accepted = loop.createFuture<TransportDuplex>();
    const server = await loop.createServer(
      () => ({ connectionMade: (transport) => accepted.setResult(toDuplex(transport)) }),
      '127.0.0.1',
      0,
      { ssl: { ...certificate, ALPNProtocols: ['gyre'] } },
    );
    const client = connectDuplex((factory) =>
      loop.createConnection(factory, '127.0.0.1', portOf(server), { ssl: { ca, ALPNProtocols: ['gyre'] } }),
    );
    const other = await accepted;
    await Promise.all([client.encrypted ? null : once(client, 'connect')]);
    assert.deepEqual([client.encrypted, client.authorized, client.alpnProtocol], [true, true, 'gyre']);
    assert.equal(other.encrypted, true);
    assert.deepEqual(client.getPeerCertificate(), client.getPeerCertificate());
    assert.ok('subject' in client.getPeerCertificate());
    assert.ok(!('subject' in other.getPeerCertificate()));
    const log = logOf(client);
    other.end(Buffer.alloc(MEBIBYTE, 'x'));
    let bytes = 0;
    for await (const data of client) bytes += (data as Buffer).length;
    assert.equal(bytes, MEBIBYTE);
    await untilClosed(client);
    await untilClosed(other);
    assert.deepEqual(log, ['end', 'finish', 'close']);
    server.close();
    await server.waitClosed();
  }),
);

test(
  'toDuplex() over TLS without half-close tells a reader that ends that the rest was not read',
  onNode(async (loop) => {
    const http = createHttpServer((_request, response) => response.end());
    const server = await loop.createServer(
      () => ({ connectionMade: (transport) => void http.emit('connection', toDuplex(transport)) }),
      '127.0.0.1',
      0,
      { ssl: certificate },
    );
    const client = connectDuplex((factory) =>
      loop.createConnection(factory, '127.0.0.1', portOf(server), { ssl: { ca } }),
    );
    client.end('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    await assert.rejects(text(client), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    server.close();
    await server.waitClosed();
  }),
);

test(
  'toDuplex(): connect(), which some clients call, emits that it is connected',
  onManual(async (transport, duplex) => {
    const log: string[] = [];
    duplex.on('ready', () => log.push('ready'));
    assert.equal(
      duplex.connect(5432, 'host', () => log.push('connect')),
      duplex,
    );
    assert.deepEqual(log, []);
    await hostPasses();
    assert.deepEqual(log, ['connect', 'ready']);
    duplex.destroy();
    transport.lose(null);
  }),
);

test(
  'toDuplex(): listeners run as code of the loop, outside any task, in the async context of the connection',
  onNode(async (loop) => {
    const storage = new AsyncLocalStorage<string>();
    const peer = new Recorder();
    const { near } = await storage.run('the connection', () => connectedPair(loop, new Protocol(), peer));
    const duplex = toDuplex(near);
    const seen: unknown[] = [];
    duplex.on('data', () => seen.push(getRunningLoop() === loop, currentTask(), storage.getStore()));
    peer.transport.write('x');
    while (seen.length === 0) await sleep(0);
    assert.deepEqual(seen, [true, null, 'the connection']);
    duplex.end();
    await once(duplex, 'close');
    await peer.untilLost();
  }),
);

test('toDuplex(): a listener that throws causes an uncaught exception, as with a socket, and harms no connection', () => {
  const child = fileURLToPath(new URL('./node-throws.child.ts', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [...loaderOptions, child], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), {
    uncaught: ['thrown by a drain listener', 'thrown by a data listener', 'thrown by a timeout listener'],
    reported: [],
    read: ['first', 'second'],
  });
  assert.equal(status, 0);
});

test('toDuplex() moves no data while the loop is stopped, and all of it in the next run', async () => {
  await withLoop(
    () => new NodeEventLoop(),
    async (loop) => {
      const { transport, socket } = await loop.runUntilComplete(() => foreignClient(loop, new Protocol()));
      const duplex = toDuplex(transport, { loop });
      let text = '';
      duplex.on('data', (data) => {
        text += String(data);
      });
      socket.end('hello');
      await hostPasses();
      assert.equal(text, '');
      await loop.runUntilComplete(async () => {
        await once(duplex, 'close');
      });
      assert.equal(text, 'hello');
      await closed(socket);
    },
  );
});

test('toDuplex(): loop.close() destroys the duplex', async () => {
  const loop = new NodeEventLoop();
  loop.setExceptionHandler(() => {});
  const { transport, socket } = await loop.runUntilComplete(() => foreignClient(loop, new Protocol()));
  const duplex = toDuplex(transport, { loop });
  const log = logOf(duplex);
  duplex.setTimeout(1000);
  loop.close();
  await once(duplex, 'close');
  assert.deepEqual(log, ['close']);
  assert.equal(duplex.destroyed, true);
  assert.throws(() => toDuplex(transport, { loop }), { code: 'ERR_LOOP_CLOSED' });
  await closed(socket);
});

test(
  'toDuplex() rejects wrong arguments at the call',
  onNode(async (loop) => {
    const refused: [() => unknown, string][] = [
      [() => toDuplex(null as never), 'ERR_INVALID_ARG_TYPE'],
      [() => toDuplex({} as never), 'ERR_INVALID_ARG_TYPE'],
      [() => toDuplex(new ManualTransport(), { unknown: 1 } as never), 'ERR_INVALID_ARG_TYPE'],
      [() => toDuplex(new ManualTransport(), { allowHalfOpen: 1 as never }), 'ERR_INVALID_ARG_TYPE'],
      [() => toDuplex(new ManualTransport(), { received: 'text' as never }), 'ERR_INVALID_ARG_TYPE'],
      [() => toDuplex(new ManualTransport(), { readableHighWaterMark: -1 }), 'ERR_OUT_OF_RANGE'],
      [() => toDuplex(new ManualTransport(), { loop: {} as never }), 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [call, code] of refused) assert.throws(call, { code });
    const closing = new ManualTransport();
    closing.close();
    assert.throws(
      () => toDuplex(closing),
      (error) => error instanceof LoopError && error.code === 'ERR_TRANSPORT_CLOSED',
    );
    assert.equal(loop.isRunning(), true);
  }),
);

test('toDuplex() outside of a loop needs the loop as an argument', () => {
  assert.throws(() => toDuplex(new ManualTransport()), { code: 'ERR_NO_RUNNING_LOOP' });
});

test(
  'toDuplex() of a thousand connections leaves no handle',
  onNode(async (loop) => {
    const server = createServer((socket) => socket.pipe(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as { port: number };
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
          const duplex = toDuplex(transport);
          duplex.setTimeout(1000);
          duplex.end('there and back');
          let text = '';
          for await (const data of duplex) text += String(data);
          assert.equal(text, 'there and back');
          await untilClosed(duplex);
        }),
      );
    }
    await closed(server);
    assert.equal(loop._owned.unreported.size, 0);
  }),
);
