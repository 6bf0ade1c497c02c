/**
 * A peer that resets a connection while its data is still unread.
 *
 * The peer is in a worker thread, and the thread of the loop is blocked until the peer has closed. So the
 * loop finds data, end of file and reset all at once. The expected values are those of CPython's asyncio.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { BaseEventLoop, Transport } from '../../../src/index.ts';
import { onNode, portOf, Recorder } from '../../helpers/pairs.ts';

const BYTES = 1000;

/** How the peer ends, after it has sent its data. */
type Ending = 'reset' | 'end, reset' | 'close with unread data' | 'end';

const PEER = `
const { connect } = require('node:net');
const { workerData: { address, ending, state }, parentPort } = require('node:worker_threads');
const socket = connect({ ...address, allowHalfOpen: true });
socket.on('error', () => {});
socket.pause();
socket.on('connect', () => parentPort.postMessage('connected'));
socket.on('close', () => {
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
});
parentPort.once('message', () => {
  socket.write(Buffer.alloc(${BYTES}, 'x'), () => {
    if (ending === 'reset') socket.resetAndDestroy();
    else if (ending === 'close with unread data') socket.destroy();
    else socket.end(() => (ending === 'end' ? socket.destroy() : socket.resetAndDestroy()));
  });
});
`;

interface Meeting {
  protocol: Recorder;
  transport: Transport;
  /** Lets the peer send and end. Returns when that has happened, without a turn of the loop. */
  endPeer(): void;
}

async function meet(loop: BaseEventLoop, ending: Ending, unix: boolean, body: (m: Meeting) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'gyre-reset-'));
  const path = join(folder, 'socket');
  const protocol = new Recorder();
  const server = unix
    ? await loop.createUnixServer(() => protocol, path)
    : await loop.createServer(() => protocol, '127.0.0.1', 0);
  const state = new Int32Array(new SharedArrayBuffer(4));
  const address = unix ? { path } : { host: '127.0.0.1', port: portOf(server) };
  const worker = new Worker(PEER, { eval: true, workerData: { address, ending, state } });
  try {
    await once(worker, 'message');
    await protocol.untilTold('made');
    const { transport } = protocol;
    if (ending === 'close with unread data') transport.write('unread');
    // The write leaves at the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    await body({
      protocol,
      transport,
      endPeer: () => {
        worker.postMessage('end');
        assert.notEqual(Atomics.wait(state, 0, 0, 20_000), 'timed-out');
      },
    });
    transport.abort();
    await protocol.untilLost();
  } finally {
    server.close();
    await worker.terminate();
    rmSync(folder, { recursive: true, force: true });
  }
}

const RESETS = [
  { ending: 'reset', unix: false },
  { ending: 'close with unread data', unix: false },
  { ending: 'close with unread data', unix: true },
] as const;

for (const { ending, unix } of RESETS) {
  const place = `over ${unix ? 'a unix socket' : 'TCP'}, ${ending}`;

  for (const half of ['both directions', 'one direction'] as const) {
    test(
      `a reset behind data is connectionLost() with ECONNRESET and no end of file: ${place}, ${half} open`,
      onNode((loop) =>
        meet(loop, ending, unix, async ({ protocol, transport, endPeer }) => {
          protocol.keepOpen = true;
          if (half === 'one direction') {
            transport.writeEof();
            await new Promise((resolve) => setImmediate(resolve));
          }
          endPeer();
          await protocol.untilLost();
          assert.deepEqual(protocol.log, ['made', 'data', 'lost']);
          assert.equal(protocol.received, BYTES);
          assert.equal((protocol.exception as NodeJS.ErrnoException).code, 'ECONNRESET');
        }),
      ),
    );
  }

  test(
    `a reset that comes while reading is paused is told after the data, without end of file: ${place}`,
    onNode((loop) =>
      meet(loop, ending, unix, async ({ protocol, transport, endPeer }) => {
        transport.pauseReading();
        endPeer();
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        transport.resumeReading();
        await protocol.untilLost();
        assert.deepEqual(protocol.log, ['made', 'data', 'lost']);
        assert.equal(protocol.received, BYTES);
        assert.equal((protocol.exception as NodeJS.ErrnoException).code, 'ECONNRESET');
      }),
    ),
  );

  test(
    `a reset behind unread data ends a paused connection at its next write: ${place}`,
    onNode((loop) =>
      meet(loop, ending, unix, async ({ protocol, transport, endPeer }) => {
        transport.pauseReading();
        endPeer();
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        transport.write('y');
        await protocol.untilLost();
        assert.deepEqual(protocol.log, ['made', 'lost']);
        assert.match(String((protocol.exception as NodeJS.ErrnoException).code), /^(ECONNRESET|EPIPE)$/);
      }),
    ),
  );

  test(
    `a reset behind unread data ends a paused connection at once if written data waits: ${place}`,
    onNode((loop) =>
      meet(loop, ending, unix, async ({ protocol, transport, endPeer }) => {
        transport.pauseReading();
        transport.write(Buffer.alloc(16_000_000));
        await new Promise((resolve) => setImmediate(resolve));
        endPeer();
        await protocol.untilLost();
        assert.equal(protocol.received, 0);
        assert.match(String((protocol.exception as NodeJS.ErrnoException).code), /^(ECONNRESET|EPIPE)$/);
      }),
    ),
  );

  test(
    `abort() ends a paused connection that was reset behind unread data, without the data: ${place}`,
    onNode((loop) =>
      meet(loop, ending, unix, async ({ protocol, transport, endPeer }) => {
        transport.pauseReading();
        endPeer();
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        transport.abort();
        await protocol.untilLost();
        assert.deepEqual(protocol.log, ['made', 'lost']);
        assert.equal(protocol.exception, null);
      }),
    ),
  );

  test(
    `a write that meets a reset ends the connection with its error, and no end of file comes: ${place}`,
    onNode((loop) =>
      meet(loop, ending, unix, async ({ protocol, transport, endPeer }) => {
        transport.pauseReading();
        endPeer();
        transport.write('y'.repeat(100_000));
        transport.resumeReading();
        await protocol.untilLost();
        assert.equal(protocol.log.includes('eof'), false, protocol.log.join());
        assert.match(String((protocol.exception as NodeJS.ErrnoException).code), /^(ECONNRESET|EPIPE)$/);
      }),
    ),
  );
}

for (const ending of ['end, reset', 'end'] as const) {
  for (const unix of [false, true]) {
    if (unix && ending !== 'end') continue;
    test(
      `an end of file is told before anything that follows it: over ${unix ? 'a unix socket' : 'TCP'}, ${ending}`,
      onNode((loop) =>
        meet(loop, ending, unix, async ({ protocol, endPeer }) => {
          endPeer();
          await protocol.untilLost();
          assert.deepEqual(protocol.log, ['made', 'data', 'eof', 'lost']);
          assert.equal(protocol.received, BYTES);
          assert.equal(protocol.exception, null);
        }),
      ),
    );

    test(
      `an end of file keeps a half-open connection: over ${unix ? 'a unix socket' : 'TCP'}, ${ending}`,
      onNode((loop) =>
        meet(loop, ending, unix, async ({ protocol, endPeer }) => {
          protocol.keepOpen = true;
          endPeer();
          await protocol.untilTold('eof');
          assert.deepEqual(protocol.log, ['made', 'data', 'eof']);
        }),
      ),
    );

    test(
      `the ends of both directions close the connection: over ${unix ? 'a unix socket' : 'TCP'}, ${ending}`,
      onNode((loop) =>
        meet(loop, ending, unix, async ({ protocol, transport, endPeer }) => {
          protocol.keepOpen = true;
          transport.writeEof();
          await new Promise((resolve) => setImmediate(resolve));
          endPeer();
          await protocol.untilLost();
          assert.deepEqual(protocol.log, ['made', 'data', 'eof', 'lost']);
          assert.equal(protocol.exception, null);
        }),
      ),
    );
  }
}
