import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { BaseEventLoop, Protocol, Transport } from '../../../src/index.ts';
import { sleep } from '../../../src/index.ts';
import { collectGarbage } from '../../helpers/gc.ts';
import { connectedPair, onNode, portOf, Recorder, recorders } from '../../helpers/pairs.ts';
import { assertSockets, socketCount } from '../sockets.ts';

// Much data, and many connections.

const TOTAL_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 100_000;

/** Bytes that differ at every position, so that a piece that is lost, doubled or swapped shows. */
function piece(index: number): Buffer {
  const data = Buffer.allocUnsafe(PIECE_BYTES);
  for (let i = 0, x = (index * 2654435761) >>> 0; i < data.length; i += 4) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    data.writeUInt32LE(x, i);
  }
  return data;
}

/**
 * Writes everything in pieces while it is not paused. Reads slowly: it pauses after every few chunks and
 * resumes two turns later.
 */
class Bulk implements Protocol {
  readonly sent = createHash('sha256');
  readonly got = createHash('sha256');
  readonly done: Promise<void>;
  received: number = 0;
  paused: boolean = false;
  pauses: number = 0;
  /** The largest size of the write buffer so far. */
  peak: number = 0;
  exception: Error | null | undefined = undefined;
  readonly #loop: BaseEventLoop;
  #transport: Transport | null = null;
  #written: number = 0;
  #chunks: number = 0;
  #finish: () => void = () => {};

  constructor(loop: BaseEventLoop) {
    this.#loop = loop;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.#loop.callSoon(() => this.#write());
  }

  pauseWriting(): void {
    assert.equal(this.paused, false);
    this.paused = true;
    this.pauses++;
  }

  resumeWriting(): void {
    assert.equal(this.paused, true);
    this.paused = false;
    this.#write();
  }

  dataReceived(data: Buffer): void {
    const transport = this.#transport as Transport;
    this.got.update(data);
    this.received += data.length;
    if (++this.#chunks % 8 !== 0) return;
    transport.pauseReading();
    this.#loop.callSoon(() => this.#loop.callSoon(() => transport.resumeReading()));
  }

  eofReceived(): boolean {
    return true;
  }

  connectionLost(exception: Error | null): void {
    this.exception = exception;
    this.#finish();
  }

  #write(): void {
    const transport = this.#transport as Transport;
    while (!this.paused && this.#written < TOTAL_BYTES) {
      const data = piece(this.#written).subarray(0, TOTAL_BYTES - this.#written);
      this.sent.update(data);
      this.#written += data.length;
      transport.write(data);
      this.peak = Math.max(this.peak, transport.getWriteBufferSize());
    }
    if (this.#written === TOTAL_BYTES) transport.writeEof();
  }
}

test(
  '64 MiB each way at once between slow readers arrive unchanged, and the buffer never exceeds the mark and a piece',
  onNode(async (loop) => {
    await collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    const near = new Bulk(loop);
    const far = new Bulk(loop);
    let mostMemory = 0;
    const watch = (): void => {
      mostMemory = Math.max(mostMemory, process.memoryUsage().arrayBuffers - before);
      if (near.exception === undefined) loop.callLater(0.05, watch);
    };
    watch();
    const { near: transport } = await connectedPair(loop, near, far);
    await near.done;
    await far.done;
    const { high } = transport.getWriteBufferLimits();
    for (const side of [near, far]) {
      assert.equal(side.exception, null);
      assert.equal(side.received, TOTAL_BYTES);
      assert.ok(side.pauses > 0, 'never paused: the reader was not slow');
      assert.ok(side.peak <= high + PIECE_BYTES, `${side.peak} bytes waited`);
    }
    assert.equal(near.got.digest('hex'), far.sent.digest('hex'));
    assert.equal(far.got.digest('hex'), near.sent.digest('hex'));
    // Twice 64 MiB passed. Uncollected memory counts, too, so the bound is a wide one.
    assert.ok(mostMemory < TOTAL_BYTES, `${mostMemory} bytes of buffers at once`);
  }),
);

test(
  'a clogged connection keeps its unsent data in memory once: one buffer a thousand times costs nothing',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    far.transport.pauseReading();
    const chunk = piece(1).subarray(0, PIECE_BYTES);
    await collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    near.transport.writelines(Array<Buffer>(500).fill(chunk));
    near.transport.writelines(Array<Buffer>(500).fill(chunk));
    await sleep(0.05);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 8 * PIECE_BYTES, `${grown} bytes for what waits`);
    assert.ok(near.transport.getWriteBufferSize() > 500 * PIECE_BYTES);
    const sum = createHash('sha256');
    const whole = createHash('sha256');
    for (let i = 0; i < 1000; i++) whole.update(chunk);
    let received = 0;
    far.dataReceived = (data) => {
      sum.update(data);
      received += data.length;
    };
    far.transport.resumeReading();
    near.transport.close();
    await far.untilLost();
    assert.equal(received, 1000 * PIECE_BYTES);
    assert.equal(sum.digest('hex'), whole.digest('hex'));
  }),
);

test(
  'chunks of all sizes arrive whole and in order, although the kernel often accepts only a part',
  onNode(async (loop) => {
    const { near, far } = await recorders(loop);
    const sizes = [1, 63, 64, 1000, 16_384, 16_385, 65_536, 300_000];
    const sum = createHash('sha256');
    const whole = createHash('sha256');
    far.dataReceived = (data) => {
      sum.update(data);
      // So that the kernel's buffer is full again and again.
      far.transport.pauseReading();
      loop.callSoon(() => far.transport.resumeReading());
    };
    for (let round = 0; round < 20; round++) {
      const chunks = Array.from({ length: 1 + ((round * 37) % 200) }, (_, i) => {
        const size = sizes[(i * 7 + round) % sizes.length] as number;
        return piece(round * 1000 + i).subarray(0, size);
      });
      for (const chunk of chunks) whole.update(chunk);
      near.transport.writelines(chunks);
      if (round % 3 === 0) await sleep(0);
    }
    near.transport.close();
    await far.untilLost();
    assert.equal(sum.digest('hex'), whole.digest('hex'));
  }),
);

test(
  '1,000 connections come and go, and leave nothing behind',
  onNode(async (loop) => {
    const before = socketCount();
    let accepted = 0;
    let gone = 0;
    const echo = (): Protocol => {
      let transport: Transport | null = null;
      return {
        connectionMade: (made) => {
          accepted++;
          transport = made;
        },
        dataReceived: (data) => transport?.write(data),
        connectionLost: (exception) => {
          assert.equal(exception, null);
          gone++;
        },
      };
    };
    const server = await loop.createServer(echo, '127.0.0.1', 0, { backlog: 1000 });
    const port = portOf(server);
    const collected: WeakRef<object>[] = [];
    const once = async (i: number): Promise<void> => {
      const recorder = new Recorder();
      const [transport] = await loop.createConnection(() => recorder, '127.0.0.1', port);
      collected.push(new WeakRef(transport));
      transport.write(`connection ${i}`);
      await recorder.untilReceived(`connection ${i}`.length);
      assert.equal(recorder.text, `connection ${i}`);
      // In turn: a close, or an end of the writing side, which the server answers with a close.
      if (i % 2 === 0) transport.close();
      else transport.writeEof();
      await recorder.untilLost();
      assert.equal(recorder.exception, null);
    };
    for (let i = 0; i < 1000; i += 100) {
      const batch = Array.from({ length: 100 }, (_, j) => loop.createTask(() => once(i + j)));
      for (const task of batch) await task;
    }
    server.close();
    await server.waitClosed();
    assert.deepEqual([accepted, gone], [1000, 1000]);
    assert.equal(loop._owned.resources.size, 0);
    await assertSockets(before, 'sockets are left');
    await collectGarbage();
    const alive = collected.filter((ref) => ref.deref() !== undefined).length;
    // The last ones may still be on some stack.
    assert.ok(alive <= 100, `${alive} transports of 1,000 are still referred to`);
  }),
);
