import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlainQueue } from '../../../src/net/tls/tls-plain-queue.ts';

const SLICE = 128 * 1024;

test('PlainQueue returns pushed data in order, in slices, uncopied', () => {
  const queue = new PlainQueue();
  assert.equal(queue.empty, true);
  const big = Buffer.alloc(2 * SLICE + 5);
  for (let i = 0; i < big.length; i += 4096) big[i] = i / 4096;
  const small = [Buffer.from('one'), Buffer.from('two')];
  queue.push([...small, big]);
  queue.push([Buffer.from('three')]);
  assert.equal(queue.empty, false);
  const slices: Uint8Array[][] = [];
  while (!queue.empty) slices.push(queue.take());
  assert.deepEqual(
    slices.map((slice) => slice.reduce((sum, piece) => sum + piece.length, 0)),
    [SLICE, SLICE, 16],
  );
  assert.ok(Buffer.concat(slices.flat()).equals(Buffer.concat([...small, big, Buffer.from('three')])));
  assert.equal(slices[0]?.[2]?.buffer, big.buffer);
});

test('PlainQueue can be cleared in the middle of a chunk, and filled again', () => {
  const queue = new PlainQueue();
  queue.push([Buffer.alloc(SLICE + 1)]);
  queue.take();
  queue.clear();
  assert.equal(queue.empty, true);
  queue.push([Buffer.from('next')]);
  assert.equal(Buffer.concat(queue.take()).toString(), 'next');
  assert.equal(queue.empty, true);
});
