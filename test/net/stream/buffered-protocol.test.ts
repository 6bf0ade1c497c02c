/**
 * BufferedProtocol: the owner of its memory at each moment, and the native backend's reads straight into it.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { BufferedProtocol, Transport } from '../../../src/index.ts';
import { Protocol } from '../../../src/index.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { withLoop } from '../../helpers/loop-fixture.ts';
import { closed, foreignServer, makeLoop, onNode, Recorder } from '../../helpers/pairs.ts';
import { Recording } from '../../helpers/recording.ts';

const isNative = process.env.GYRE_TEST_BACKEND === 'uv';

/** Collects data in memory that `next` provides. */
class Collector extends Recording implements BufferedProtocol {
  readonly hints: number[] = [];
  readonly updates: number[] = [];
  exception: Error | null | undefined = undefined;
  transport!: Transport;
  onUpdate: () => void = () => {};
  readonly #next: () => Uint8Array;
  #buffer: Uint8Array | null = null;
  #text: string = '';

  constructor(next: () => Uint8Array) {
    super();
    this.#next = next;
  }

  get text(): string {
    return this.#text;
  }

  connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  getBuffer(sizeHint: number): Uint8Array {
    this.hints.push(sizeHint);
    this.#buffer = this.#next();
    return this.#buffer;
  }

  bufferUpdated(nbytes: number): void {
    this.updates.push(nbytes);
    this.#text += Buffer.from(this.#buffer!.subarray(0, nbytes)).toString();
    this.onUpdate();
    this.note('data');
  }

  connectionLost(exception: Error | null): void {
    this.exception = exception;
    this.note('lost');
  }
}

async function ended(collector: Collector, socket: Socket): Promise<void> {
  collector.transport.close();
  await collector.until(() => collector.exception !== undefined);
  await closed(socket);
}

test(
  'getBuffer() is called ahead of time if the host reads straight into the buffer, else when data has come',
  onNode(async (loop) => {
    const near = new Collector(() => new Uint8Array(1000));
    const { socket } = await foreignServer(loop, near);
    socket.write('hello');
    await near.until(() => near.text === 'hello');
    if (isNative) {
      assert.ok(near.hints.every((hint) => hint === -1));
      assert.equal(near.hints.length, 2);
    } else {
      assert.deepEqual(near.hints, [5]);
    }
    await ended(near, socket);
  }),
);

test(
  'connections that share one buffer never get each other’s bytes',
  onNode(async (loop) => {
    const shared = new Uint8Array(4096);
    const pairs = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const near = new Collector(() => shared);
        const { socket } = await foreignServer(loop, near);
        return { near, socket, text: String.fromCharCode(97 + i).repeat(3000) };
      }),
    );
    for (let round = 1; round <= 5; round++) {
      for (const { socket, text } of pairs) socket.write(text);
      for (const { near, text } of pairs) await near.until(() => near.text.length >= text.length * round);
    }
    for (const { near, socket, text } of pairs) {
      assert.equal(near.text, text.repeat(5));
      await ended(near, socket);
    }
  }),
);

test(
  'data longer than the buffer arrives in order, over several buffers',
  onNode(async (loop) => {
    const near = new Collector(() => new Uint8Array(7));
    const { socket } = await foreignServer(loop, near);
    const text = Array.from({ length: 20_000 }, (_, i) => i).join(',');
    socket.write(text);
    await near.until(() => near.text.length >= text.length);
    assert.equal(near.text, text);
    assert.ok(near.updates.every((n) => n >= 1 && n <= 7));
    await ended(near, socket);
  }),
);

test(
  'pauseReading() in bufferUpdated() holds data back until resumeReading(), and loses nothing',
  onNode(async (loop) => {
    const near = new Collector(() => new Uint8Array(10));
    const { socket } = await foreignServer(loop, near);
    near.onUpdate = () => near.transport.pauseReading();
    const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(4);
    socket.write(text);
    for (let length = 10; length < text.length + 10; length += 10) {
      await near.until(() => near.text.length >= Math.min(length, text.length));
      const { length: updates } = near.updates;
      await hostPasses(5);
      assert.equal(near.updates.length, updates);
      near.transport.resumeReading();
    }
    assert.equal(near.text, text);
    await ended(near, socket);
  }),
);

test(
  'setProtocol() gives later data to the new protocol, and leaves the old buffer alone',
  onNode(async (loop) => {
    const memory = new Uint8Array(100);
    const first = new Collector(() => memory);
    const { transport, socket } = await foreignServer(loop, first);
    socket.write('one');
    await first.until(() => first.text === 'one');
    const second = new Recorder();
    transport.setProtocol(second);
    memory.fill(0);
    socket.write('two');
    await second.until(() => second.received === 3);
    assert.equal(second.text, 'two');
    assert.ok(memory.every((byte) => byte === 0));
    const third = new Collector(() => new Uint8Array(100));
    third.connectionMade(transport);
    transport.setProtocol(third);
    socket.write('three');
    await third.until(() => third.text === 'three');
    assert.equal(first.text, 'one');
    await ended(third, socket);
  }),
);

test(
  'a buffer that is transferred to a thread before data comes is replaced by another one',
  onNode(async (loop) => {
    const given: Uint8Array[] = [];
    const near = new Collector(() => {
      given.push(new Uint8Array(100));
      return given.at(-1)!;
    });
    const { socket } = await foreignServer(loop, near);
    for (const buffer of given) structuredClone(buffer.buffer, { transfer: [buffer.buffer as ArrayBuffer] });
    socket.write('still here');
    await near.until(() => near.text === 'still here');
    assert.equal(given.at(-1)?.byteLength, 100);
    await ended(near, socket);
  }),
);

for (const [what, answer, code] of [
  ['throws', undefined, undefined],
  ['answers no buffer', 'text', 'ERR_INVALID_ARG_TYPE'],
  ['answers an empty buffer', new Uint8Array(0), 'ERR_OUT_OF_RANGE'],
] as const) {
  test(
    `a getBuffer() that ${what} is reported, its connection is aborted, and others continue`,
    onNode(async (loop, reports) => {
      const good = new Collector(() => new Uint8Array(100));
      const other = await foreignServer(loop, good);
      const bad = new Collector(() => {
        if (answer === undefined) throw new Error('no memory');
        return answer as Uint8Array;
      });
      const { socket } = await foreignServer(loop, bad);
      socket.on('error', () => {});
      socket.write('x');
      await bad.until(() => bad.exception !== undefined);
      const [report] = reports.take();
      assert.match(report!.message, /protocol\.getBuffer/);
      assert.equal((report!.exception as NodeJS.ErrnoException).code, code);
      other.socket.write('fine');
      await good.until(() => good.text === 'fine');
      await ended(good, other.socket);
      await closed(socket);
    }),
  );
}

test('a stopped loop delivers data to a BufferedProtocol in its next run', () =>
  withLoop(makeLoop, async (loop) => {
    const near = new Collector(() => new Uint8Array(5));
    const { socket } = await loop.runUntilComplete(() => foreignServer(loop, near));
    socket.write('what came meanwhile');
    await hostPasses();
    assert.equal(near.text, '');
    await loop.runUntilComplete(() => near.until(() => near.text.length === 19));
    assert.equal(near.text, 'what came meanwhile');
    await loop.runUntilComplete(() => ended(near, socket));
  }));

test(
  'a connection that has ended leaves its buffer free for the next one',
  onNode(async (loop) => {
    const memory = new Uint8Array(100);
    for (let i = 0; i < 3; i++) {
      const near = new Collector(() => memory);
      const { socket } = await foreignServer(loop, near);
      socket.write('again');
      await near.until(() => near.text === 'again');
      if (isNative) assert.ok(near.hints.every((hint) => hint === -1));
      await ended(near, socket);
    }
  }),
);

test(
  'a Protocol next to a BufferedProtocol is not asked for buffers',
  onNode(async (loop) => {
    let received = '';
    let wake!: () => void;
    const all = new Promise<void>((resolve) => {
      wake = resolve;
    });
    class Plain extends Protocol {
      override dataReceived(data: Buffer): void {
        received += data.toString();
        wake();
      }
    }
    const { transport, socket } = await foreignServer(loop, new Plain());
    socket.write('plain');
    await all;
    assert.equal(received, 'plain');
    transport.close();
    await closed(socket);
  }),
);
