import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RingQueue } from '../../src/base/ring-queue.ts';
import { heapUsed } from '../helpers/gc.ts';

test('RingQueue returns items in the order in which they were pushed', () => {
  const queue = new RingQueue<number>();
  for (let i = 0; i < 1000; i++) queue.push(i);
  assert.equal(queue.length, 1000);
  for (let i = 0; i < 1000; i++) assert.equal(queue.shift(), i);
  assert.equal(queue.length, 0);
});

test('RingQueue returns undefined when it is empty', () => {
  const queue = new RingQueue<number>();
  assert.equal(queue.shift(), undefined);
  assert.equal(queue.peek(), undefined);
  assert.equal(queue.remove(1), false);
  assert.deepEqual([...queue], []);
  queue.push(1);
  queue.shift();
  assert.equal(queue.shift(), undefined);
  assert.equal(queue.length, 0);
});

test('RingQueue grows while its items are wrapped around the end of its array', () => {
  const queue = new RingQueue<number>();
  for (let i = 0; i < 50; i++) queue.push(-1);
  for (let i = 0; i < 50; i++) queue.shift();
  for (let i = 0; i < 200; i++) queue.push(i);
  assert.deepEqual(
    [...queue],
    Array.from({ length: 200 }, (_, i) => i),
  );
});

test('RingQueue.unshift() puts an item before all others, also when the array is full', () => {
  const queue = new RingQueue<number>();
  for (let i = 200; i > 0; i--) queue.unshift(i);
  assert.deepEqual(
    [...queue],
    Array.from({ length: 200 }, (_, i) => i + 1),
  );
});

test('RingQueue.remove() removes the first of several equal items and keeps the order of the others', () => {
  const queue = new RingQueue<string>();
  for (const item of ['a', 'b', 'c', 'b', 'd']) queue.push(item);
  assert.equal(queue.remove('b'), true);
  assert.deepEqual([...queue], ['a', 'c', 'b', 'd']);
  assert.equal(queue.remove('x'), false);
  assert.equal(queue.length, 4);
});

test('RingQueue keeps no reference to an item that was taken out', async () => {
  const queue = new RingQueue<object>();
  const refs = pushAndTakeOut(queue);
  await heapUsed();
  assert.deepEqual(
    refs.map((ref) => ref.deref()),
    [undefined, undefined, undefined],
  );
  assert.equal(queue.length, 0);
});

function pushAndTakeOut(queue: RingQueue<object>): WeakRef<object>[] {
  const items = [{ item: 1 }, { item: 2 }, { item: 3 }];
  for (const item of items) queue.push(item);
  queue.remove(items[2] as object);
  queue.remove(items[0] as object);
  queue.shift();
  return items.map((item) => new WeakRef(item));
}

test('RingQueue frees the memory of a burst once it is empty', async () => {
  const queue = new RingQueue<number>();
  queue.push(1);
  queue.shift();
  const before = await heapUsed();
  for (let i = 0; i < 1_000_000; i++) queue.push(i);
  assert.ok((await heapUsed()) - before > 4e6, 'the burst takes memory');
  while (queue.shift() !== undefined);
  assert.ok((await heapUsed()) - before < 1e6, 'and gives it back');
  queue.push(7);
  assert.equal(queue.shift(), 7);
});

test('RingQueue behaves like an array for any order of calls', () => {
  // Items come from a small range, so that remove() meets equal ones. Runs of pushes make the queue wrap and
  // grow.
  const item = fc.integer({ min: 0, max: 5 });
  const call = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('push' as const), item }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('unshift' as const), item }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('shift' as const), item }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), item }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('burst' as const), item }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const), item }) },
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
      const queue = new RingQueue<number>();
      const model: number[] = [];
      for (const { kind, item } of calls) {
        switch (kind) {
          case 'push':
            queue.push(item);
            model.push(item);
            break;
          case 'unshift':
            queue.unshift(item);
            model.unshift(item);
            break;
          case 'shift':
            assert.equal(queue.shift(), model.shift());
            break;
          case 'remove': {
            const at = model.indexOf(item);
            if (at >= 0) model.splice(at, 1);
            assert.equal(queue.remove(item), at >= 0);
            break;
          }
          case 'burst':
            for (let i = 0; i < 40; i++) {
              queue.push(i % 6);
              model.push(i % 6);
            }
            break;
          case 'drain':
            for (let i = 0; i < 30; i++) assert.equal(queue.shift(), model.shift());
            break;
        }
        assert.equal(queue.length, model.length);
        assert.equal(queue.peek(), model[0]);
      }
      assert.deepEqual([...queue], model);
    }),
  );
});
