/** `fromDuplex`: a transport over any duplex behaves like every other transport. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { TransportDuplex } from '../../src/entry/node.ts';
import { fromDuplex, toDuplex } from '../../src/entry/node.ts';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { BaseEventLoop, Transport } from '../../src/index.ts';
import { CancelledError, NodeEventLoop, Protocol, sleep } from '../../src/index.ts';
import { duplexPair } from '../compat/memory.ts';
import { streamTransportChecks } from '../helpers/check-stream-transport.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { closed, foreignServer, listeningNodeServer, onNode, Recorder } from '../helpers/pairs.ts';

async function recorders(
  loop: BaseEventLoop,
): Promise<{ near: Recorder; far: Recorder; sides: [Duplex, Duplex] }> {
  const sides = duplexPair();
  const near = new Recorder();
  const far = new Recorder();
  await fromDuplex(sides[0], () => near, { loop });
  await fromDuplex(sides[1], () => far, { loop });
  return { near, far, sides };
}

const PIECE = Buffer.alloc(1024 * 1024, 'clog');

const makers: Record<string, (loop: BaseEventLoop) => Promise<{ near: Recorder; far: Recorder }>> = {
  'a pair in memory': recorders,
  'a pair of sockets': async (loop) => {
    const { server, port } = await listeningNodeServer();
    const { connect } = await import('node:net');
    const accepted = once(server, 'connection');
    const socket = connect(port, '127.0.0.1');
    const near = new Recorder();
    const far = new Recorder();
    await fromDuplex(socket, () => near, { loop });
    const [other] = (await accepted) as [Duplex];
    await fromDuplex(other, () => far, { loop });
    server.close();
    return { near, far };
  },
  'duplexes over transports over sockets': async (loop) => {
    const { connectedPair } = await import('../helpers/pairs.ts');
    const lower = await connectedPair(loop, new Protocol(), new Protocol());
    const near = new Recorder();
    const far = new Recorder();
    await fromDuplex(toDuplex(lower.near), () => near, { loop });
    await fromDuplex(toDuplex(lower.far), () => far, { loop });
    return { near, far };
  },
};

for (const [over, makePair] of Object.entries(makers)) {
  const checks = streamTransportChecks(makePair);
  for (const [title, check] of Object.entries(checks)) {
    test(`fromDuplex() over ${over}: ${title}`, onNode(check));
  }
}

test(
  'fromDuplex() carries many megabytes through a pair in memory in both directions at once',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    for (let i = 0; i < 32; i++) {
      near.transport.write(PIECE);
      far.transport.write(PIECE);
    }
    near.transport.writeEof();
    far.transport.writeEof();
    await near.untilLost();
    await far.untilLost();
    assert.deepEqual([near.received, far.received], [32 * PIECE.length, 32 * PIECE.length]);
    assert.deepEqual([near.exception, far.exception], [null, null]);
  }),
);

test('fromDuplex() works on a simulated loop', async () => {
  await withLoop(
    () => new SimulatedEventLoop(),
    (loop) =>
      loop.runUntilComplete(async () => {
        const { near, far } = await recorders(loop);
        near.transport.write('hello');
        await far.untilReceived(5);
        near.transport.close();
        await near.untilLost();
        await far.untilLost();
        assert.deepEqual(far.log, ['made', 'data', 'eof', 'lost']);
      }),
  );
});

test(
  'fromDuplex() calls no protocol method within a write, for any duplex',
  onNode(async (loop) => {
    const echo = new PassThrough();
    const recorder = new Recorder();
    const [transport] = await fromDuplex(echo, () => recorder);
    transport.setWriteBufferLimits({ high: 0 });
    transport.write('hello');
    assert.deepEqual(recorder.log, ['made']);
    await recorder.untilReceived(5);
    transport.close();
    await recorder.untilLost();
    assert.equal(recorder.exception, null);
    assert.equal(loop._owned.resources.size, 0);
  }),
);

test(
  'fromDuplex() calls no protocol method within resumeReading()',
  onNode(async () => {
    const [near, far] = duplexPair();
    const recorder = new Recorder();
    const [transport] = await fromDuplex(near, () => recorder);
    transport.pauseReading();
    far.write('hello');
    while (near.readableLength === 0) await sleep(0);
    transport.resumeReading();
    assert.deepEqual(recorder.log, ['made']);
    await recorder.untilReceived(5);
    far.end();
    await recorder.untilLost();
  }),
);

test(
  'fromDuplex(): a protocol that pauses at the last data gets the end, and then the loss, after it resumes',
  onNode(async () => {
    const [near, far] = duplexPair();
    far.end('all of it');
    far.resume();
    while (!near.readableLength) await sleep(0);
    const recorder = new Recorder();
    recorder.dataReceived = (data: Buffer) => {
      Recorder.prototype.dataReceived.call(recorder, data);
      recorder.transport.pauseReading();
    };
    const [transport] = await fromDuplex(near, () => recorder);
    transport.writeEof();
    await recorder.untilReceived(9);
    for (let i = 0; i < 20; i++) await sleep(0);
    assert.deepEqual(recorder.log, ['made', 'data']);
    transport.resumeReading();
    await recorder.untilLost();
    assert.deepEqual(recorder.log, ['made', 'data', 'eof', 'lost']);
    assert.equal(recorder.exception, null);
  }),
);

test(
  'fromDuplex() passes the writes of a turn in one piece, and a socket does not keep the process alive',
  onNode(async () => {
    const writes: number[] = [];
    let unrefs = 0;
    const duplex = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        writes.push(1);
        done();
      },
      writev(list, done) {
        writes.push(list.length);
        done();
      },
    });
    const [transport] = await fromDuplex(
      Object.assign(duplex, { unref: () => unrefs++ }),
      () => new Protocol(),
    );
    transport.write('one');
    transport.write('two');
    transport.write('three');
    await transport[Symbol.asyncDispose]();
    assert.deepEqual([writes, unrefs], [[3], 1]);
  }),
);

test(
  'fromDuplex() passes an error of the duplex to connectionLost()',
  onNode(async () => {
    const [near] = duplexPair();
    const recorder = new Recorder();
    await fromDuplex(near, () => recorder);
    near.destroy(new Error('the line is dead'));
    await recorder.untilLost();
    assert.match(String(recorder.exception), /the line is dead/);
    assert.deepEqual(recorder.log, ['made', 'lost']);
  }),
);

test(
  'fromDuplex() reports a duplex that closes without an end as a lost connection',
  onNode(async (loop) => {
    const { near, far, sides } = await recorders(loop);
    sides[1].destroy();
    await near.untilLost();
    await far.untilLost();
    for (const { exception } of [near, far]) {
      assert.equal((exception as NodeJS.ErrnoException).code, 'ERR_STREAM_PREMATURE_CLOSE');
    }
  }),
);

test(
  'fromDuplex(): close() ends the duplex, abort() destroys it, and no listener stays',
  onNode(async (loop) => {
    for (const method of ['close', 'abort'] as const) {
      const { near, far, sides } = await recorders(loop);
      near.transport[method]();
      await near.untilLost();
      await far.untilLost();
      assert.equal(near.exception, null);
      assert.equal(far.exception === null, method === 'close');
      for (const side of sides) {
        assert.equal(side.destroyed, true);
        for (const event of ['error', 'close', 'readable', 'data'])
          assert.equal(side.listenerCount(event), 0, event);
      }
    }
  }),
);

test(
  'fromDuplex() returns the addresses of a socket, and TLS info of a TLS socket',
  onNode(async (loop) => {
    const { socket, transport: other } = await foreignServer(loop, new Protocol());
    const [transport] = await fromDuplex(socket, () => new Protocol());
    assert.deepEqual(transport.getExtraInfo('peername'), other.getExtraInfo('sockname'));
    assert.deepEqual(transport.getExtraInfo('sockname'), other.getExtraInfo('peername'));
    assert.equal(transport.getExtraInfo('sslObject'), null);
    await transport[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await closed(socket);

    const [near] = duplexPair();
    const secure = Object.assign(near, { encrypted: true });
    const recorder = new Recorder();
    await fromDuplex(secure, () => recorder);
    assert.equal(recorder.transport.getExtraInfo('sslObject'), secure);
    assert.equal(recorder.transport.getExtraInfo('peername'), null);
    recorder.transport.abort();
    await recorder.untilLost();
  }),
);

test(
  'fromDuplex() that is cancelled destroys the duplex, and an aborted signal starts nothing',
  onNode(async () => {
    const [near] = duplexPair();
    const future = fromDuplex(near, () => new Protocol());
    future.cancel();
    await assert.rejects(async () => await future, CancelledError);
    assert.equal(near.destroyed, true);

    const [another] = duplexPair();
    await assert.rejects(
      async () => await fromDuplex(another, () => new Protocol(), { signal: AbortSignal.abort('why') }),
      (error) => error instanceof CancelledError && error.cause === 'why',
    );
    assert.equal(another.destroyed, false);
    assert.equal(another.listenerCount('error'), 0);
  }),
);

test(
  'fromDuplex() whose factory throws leaves no duplex open',
  onNode(async () => {
    const [near] = duplexPair();
    await assert.rejects(
      async () =>
        await fromDuplex(near, () => {
          throw new Error('no protocol');
        }),
      /no protocol/,
    );
    assert.equal(near.destroyed, true);
  }),
);

test('fromDuplex(): loop.close() destroys the duplex, and names it', async () => {
  const loop = new NodeEventLoop();
  const reports: string[] = [];
  loop.setExceptionHandler((_loop, { message }) => reports.push(message));
  const [near] = duplexPair();
  await loop.runUntilComplete(() => fromDuplex(near, () => new Protocol(), { loop }));
  loop.close();
  assert.equal(near.destroyed, true);
  assert.deepEqual(reports, ['the event loop was closed, but a connection was still open']);
});

test(
  'fromDuplex() rejects at the call a value that is no open duplex of bytes',
  onNode(async () => {
    const factory = (): Protocol => new Protocol();
    const [encoded] = duplexPair();
    encoded.setEncoding('utf8');
    const [ended] = duplexPair();
    ended.end();
    const [gone] = duplexPair();
    gone.destroy();
    const refused: unknown[] = [
      null,
      {},
      process.stdin.constructor,
      new Duplex({ objectMode: true }),
      new Duplex({ readableObjectMode: true }),
      encoded,
      ended,
      gone,
    ];
    const [mine] = duplexPair();
    const [transport] = await fromDuplex(mine, factory);
    for (const duplex of [...refused, mine]) {
      assert.throws(() => fromDuplex(duplex as Duplex, factory), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    transport.abort();
    const [good] = duplexPair();
    assert.throws(() => fromDuplex(good, null as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => fromDuplex(good, factory, { unknown: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => fromDuplex(good, factory, { signal: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(good.listenerCount('error'), 0);
  }),
);

test(
  'fromDuplex() and toDuplex() undo each other',
  onNode(async (loop) => {
    const [near, far] = duplexPair();
    const [transport] = await fromDuplex(near, () => new Protocol());
    const duplex: TransportDuplex = toDuplex(transport as Transport);
    const recorder = new Recorder();
    await fromDuplex(far, () => recorder);
    duplex.end('all the way');
    await recorder.untilLost();
    duplex.resume();
    if (!duplex.closed) await once(duplex, 'close');
    assert.equal(recorder.text, 'all the way');
    assert.equal(loop._owned.unreported.size, 0);
  }),
);
