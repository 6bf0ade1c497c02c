import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WriteQueue } from '../../../src/net/stream/write-queue.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

test('WriteQueue queues a pushed chunk, then has it in flight, then drops it', () => {
  const queue = new WriteQueue();
  assert.deepEqual([queue.size, queue.sendable, queue.inFlight], [0, false, false]);
  queue.push(bytes('one'));
  queue.push(bytes('three'));
  assert.deepEqual([queue.size, queue.sendable, queue.inFlight], [8, true, false]);
  assert.equal(Buffer.concat(queue.take()).toString(), 'onethree');
  assert.deepEqual([queue.size, queue.sendable, queue.inFlight], [8, false, true]);
  queue.flushed();
  assert.deepEqual([queue.size, queue.sendable, queue.inFlight], [0, false, false]);
});

test('WriteQueue keeps chunks that are pushed during a flight, and gives them out together', () => {
  const queue = new WriteQueue();
  queue.push(bytes('first'));
  queue.take();
  queue.push(bytes('se'));
  queue.push(bytes('cond'));
  assert.deepEqual([queue.size, queue.sendable], [11, false]);
  queue.flushed();
  assert.deepEqual([queue.size, queue.sendable], [6, true]);
  assert.equal(Buffer.concat(queue.take()).toString(), 'second');
});

test('WriteQueue.clear() drops queued chunks and chunks in flight', () => {
  const queue = new WriteQueue();
  queue.push(bytes('a'));
  queue.take();
  queue.push(bytes('b'));
  queue.clear();
  assert.deepEqual([queue.size, queue.sendable, queue.inFlight], [0, false, false]);
  assert.deepEqual(queue.take(), []);
});

test('WriteQueue gives out the same objects that were pushed while nothing was in flight', () => {
  const queue = new WriteQueue();
  const chunk = bytes('mine');
  queue.push(chunk);
  assert.equal(queue.take()[0], chunk);
});

/** The text as a small part of larger memory if it is of even length, else as memory of its own. */
function partOf(text: string): Uint8Array {
  const { length } = bytes(text);
  const memory = Buffer.alloc(length % 2 === 0 ? 1000 : length, 'wrong');
  memory.write(text);
  return memory.subarray(0, length);
}

test('WriteQueue copies waiting small parts of larger memory together, and no other memory', () => {
  const queue = new WriteQueue();
  const memory = Buffer.alloc(100_000, 'abc');
  queue.push(bytes('first'));
  queue.take();
  for (let i = 0; i < 1000; i++) queue.push(memory.subarray(i, i + 100));
  const own = Buffer.alloc(1000);
  for (const chunk of [own, memory]) queue.push(chunk);
  queue.push(memory.subarray(0, 100));
  queue.flushed();
  const chunks = queue.take();
  const last = chunks.pop() as Uint8Array;
  assert.equal(chunks.pop(), memory);
  assert.equal(chunks.pop(), own);
  assert.ok(memory.subarray(0, 100).equals(last));
  assert.ok(chunks.length < 20, `${chunks.length} chunks`);
  const expected = Array.from({ length: 1000 }, (_, i) => memory.subarray(i, i + 100));
  assert.ok(Buffer.concat(chunks).equals(Buffer.concat(expected)));
  const kept = [last, ...chunks].reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  assert.ok(kept < 150_000, `${kept} bytes are kept`);
});

test('WriteQueue loses, doubles and reorders nothing, and knows its size, for any order of calls', () => {
  const step = fc.oneof(
    fc.string({ minLength: 1, maxLength: 200 }).map((text) => ({ push: text })),
    fc.constant('take' as const),
    fc.constant('flush' as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new WriteQueue();
      let pushed = '';
      let sent = '';
      let flushed = 0;
      for (const one of steps) {
        if (typeof one === 'object') {
          queue.push(partOf(one.push));
          pushed += one.push;
        } else if (one === 'take' && queue.sendable) {
          sent += Buffer.concat(queue.take()).toString();
        } else if (one === 'flush' && queue.inFlight) {
          queue.flushed();
          flushed = Buffer.byteLength(sent);
        }
        assert.equal(queue.size, Buffer.byteLength(pushed) - flushed);
      }
      if (queue.inFlight) queue.flushed();
      if (queue.sendable) sent += Buffer.concat(queue.take()).toString();
      assert.equal(sent, pushed);
    }),
  );
});
