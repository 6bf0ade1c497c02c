import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WriteQueue } from '../../../src/net/stream/write-queue.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

test('what is pushed is queued, then in flight, then gone', () => {
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

test('what is pushed while something is in flight waits for it, and leaves together', () => {
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

test('clear() drops what is queued and what is in flight', () => {
  const queue = new WriteQueue();
  queue.push(bytes('a'));
  queue.take();
  queue.push(bytes('b'));
  queue.clear();
  assert.deepEqual([queue.size, queue.sendable, queue.inFlight], [0, false, false]);
  assert.deepEqual(queue.take(), []);
});

test('the same objects leave as were pushed: nothing is copied', () => {
  const queue = new WriteQueue();
  const chunk = bytes('mine');
  queue.push(chunk);
  assert.equal(queue.take()[0], chunk);
});

test('in any order of pushes, takes and flushes nothing is lost, doubled or reordered, and the size is right', () => {
  const step = fc.oneof(
    fc.string({ minLength: 1, maxLength: 8 }).map((text) => ({ push: text })),
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
          queue.push(bytes(one.push));
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
