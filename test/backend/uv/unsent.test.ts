import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NextCall } from '../../../src/backend/uv/unsent.ts';
import { Unsent } from '../../../src/backend/uv/unsent.ts';

/** Makes a chunk that claims this length. */
function chunk(length: number): Uint8Array {
  return { length } as Uint8Array;
}

test('Unsent gives a call 64 chunks at most, and continues where the last call ended', () => {
  const unsent = new Unsent(Array.from({ length: 100 }, () => chunk(10)));
  assert.deepEqual(unsent.next(), { first: 0, count: 64, offset: 0, bytes: 640 });
  unsent.sent(25);
  assert.deepEqual(unsent.next(), { first: 2, count: 64, offset: 5, bytes: 635 });
  unsent.firstSent();
  assert.deepEqual(unsent.next(), { first: 3, count: 64, offset: 0, bytes: 640 });
  unsent.sent(640);
  assert.deepEqual(unsent.next(), { first: 67, count: 33, offset: 0, bytes: 330 });
  unsent.sent(330);
  assert.equal(unsent.empty, true);
});

test('Unsent accepts chunks and sums beyond 4 GiB', () => {
  const unsent = new Unsent([chunk(5e9), chunk(3e9), chunk(1)]);
  assert.deepEqual(unsent.next(), { first: 0, count: 3, offset: 0, bytes: 8e9 + 1 });
  // The most that Linux accepts in one call.
  unsent.sent(0x7ffff000);
  assert.deepEqual(unsent.next(), { first: 0, count: 3, offset: 0x7ffff000, bytes: 8e9 + 1 - 0x7ffff000 });
  unsent.firstSent();
  assert.deepEqual(unsent.next(), { first: 1, count: 2, offset: 0, bytes: 3e9 + 1 });
});

test('Unsent drops a chunk once it has left', () => {
  const chunks = [chunk(3), chunk(3)];
  const unsent = new Unsent(chunks);
  unsent.sent(4);
  assert.deepEqual(
    unsent.chunks.map(({ length }) => length),
    [0, 3],
  );
});

test('Unsent ends at a chunk whose length has changed, before it sends anything behind that chunk', () => {
  for (const length of [0, 2, 4]) {
    const chunks = [chunk(3), ...Array.from({ length: 63 }, () => chunk(1)), chunk(3)];
    const last = chunks.at(-1) as { length: number };
    const unsent = new Unsent(chunks);
    last.length = length;
    const call = unsent.next() as NextCall;
    assert.equal(call.bytes, 66);
    unsent.sent(call.bytes);
    assert.equal(unsent.next(), null);
    last.length = 3;
    assert.equal(unsent.next()?.bytes, 3);
  }
});

test('Unsent sends every byte once and in order, for any progress of the kernel', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 150 });
  fc.assert(
    fc.property(lengths, fc.array(fc.nat(2000)), (sizes, takes) => {
      let value = 0;
      const chunks = sizes.map((size) => {
        const memory = new Uint8Array(size * 9);
        const chunk = size % 2 === 0 ? memory.subarray(size, 2 * size) : new Uint8Array(size);
        return chunk.map(() => value++ & 255);
      });
      const whole = Buffer.concat(chunks);
      const unsent = new Unsent(chunks);
      const sent: Uint8Array[] = [];
      for (let i = 0; !unsent.empty; i++) {
        const { first, count, offset, bytes } = unsent.next() as NextCall;
        const batch = Buffer.concat(unsent.chunks.slice(first, first + count)).subarray(offset);
        assert.equal(batch.length, bytes);
        const taken = Math.min(takes[i] ?? bytes, bytes);
        sent.push(batch.subarray(0, taken));
        unsent.sent(taken);
        if (taken === bytes || unsent.empty) continue;
        unsent.keep();
        // The native part sends the rest of the chunk where it stopped.
        const stopped = unsent.next() as NextCall;
        sent.push(Buffer.from((unsent.chunks[stopped.first] as Uint8Array).subarray(stopped.offset)));
        unsent.firstSent();
      }
      assert.ok(Buffer.concat(sent).equals(whole));
    }),
  );
});

test('keep() copies the small parts of larger memory that the next call would send, without what has left', () => {
  const large = Buffer.alloc(100_000, 'abc');
  const own = Buffer.alloc(1000);
  const parts = Array.from({ length: 63 }, () => large.subarray(3, 103));
  const unsent = new Unsent([large, own, ...parts]);
  unsent.sent(large.length - 10);
  unsent.keep();
  const [rest, ...others] = unsent.chunks;
  assert.equal(String(rest), String(large.subarray(-10)));
  assert.ok((rest as Uint8Array).buffer.byteLength < 100);
  assert.equal(others[0], own);
  for (const part of others.slice(1, 63)) {
    assert.equal(part.buffer.byteLength, 100);
    assert.ok(large.subarray(3, 103).equals(part));
  }
  assert.equal(others[63], parts[62]);
  assert.deepEqual(unsent.next(), { first: 0, count: 64, offset: 0, bytes: 10 + 1000 + 62 * 100 });
});

test('keep() leaves a chunk whose memory was given away to the next call, which refuses it', () => {
  const chunks = [chunk(3), chunk(3)];
  const unsent = new Unsent(chunks);
  (chunks[0] as { length: number }).length = 0;
  unsent.keep();
  assert.equal(unsent.next(), null);
});
