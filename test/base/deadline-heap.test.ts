import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DeadlineEntry } from '../../src/base/deadline-heap.ts';
import { DeadlineHeap } from '../../src/base/deadline-heap.ts';
import { heapUsed } from '../helpers/gc.ts';

class Entry implements DeadlineEntry {
  readonly _when: number;
  readonly _seq: number;
  dead = false;

  constructor(when: number, seq: number) {
    this._when = when;
    this._seq = seq;
  }

  cancelled(): boolean {
    return this.dead;
  }
}

function cancel(heap: DeadlineHeap<Entry>, entry: Entry): void {
  entry.dead = true;
  heap.cancelled();
}

function drain(heap: DeadlineHeap<Entry>, now = Number.POSITIVE_INFINITY): Entry[] {
  const popped: Entry[] = [];
  for (let entry = heap.popDue(now); entry !== undefined; entry = heap.popDue(now)) popped.push(entry);
  return popped;
}

test('DeadlineHeap returns due entries in order of deadline', () => {
  const heap = new DeadlineHeap<Entry>();
  for (const [seq, when] of [5, 1, 4, 1.5, 3].entries()) heap.push(new Entry(when, seq));
  assert.equal(heap.nextWhen(), 1);
  assert.deepEqual(
    drain(heap, 3).map((entry) => entry._when),
    [1, 1.5, 3],
  );
  assert.equal(heap.nextWhen(), 4);
  assert.equal(heap.size, 2);
});

test('DeadlineHeap returns equal deadlines in order of scheduling', () => {
  const heap = new DeadlineHeap<Entry>();
  for (let seq = 0; seq < 1000; seq++) heap.push(new Entry(seq % 3, seq));
  const popped = drain(heap);
  const expected = [...popped].sort((a, b) => a._when - b._when || a._seq - b._seq);
  assert.deepEqual(popped, expected);
  assert.equal(popped.length, 1000);
});

test('DeadlineHeap returns an entry at its deadline, and none before it', () => {
  const heap = new DeadlineHeap<Entry>();
  heap.push(new Entry(2, 0));
  assert.equal(heap.popDue(2 - Number.EPSILON * 2), undefined);
  assert.equal(heap.popDue(2)?._seq, 0);
});

test('DeadlineHeap.nextWhen() is Infinity when the heap is empty or every entry in it is cancelled', () => {
  const heap = new DeadlineHeap<Entry>();
  assert.equal(heap.nextWhen(), Number.POSITIVE_INFINITY);
  const entry = new Entry(1, 0);
  heap.push(entry);
  cancel(heap, entry);
  assert.equal(heap.nextWhen(), Number.POSITIVE_INFINITY);
  assert.equal(heap.size, 0);
});

test('DeadlineHeap accepts infinite deadlines of both signs', () => {
  const heap = new DeadlineHeap<Entry>();
  heap.push(new Entry(Number.POSITIVE_INFINITY, 0));
  heap.push(new Entry(0, 1));
  heap.push(new Entry(Number.NEGATIVE_INFINITY, 2));
  assert.deepEqual(
    drain(heap, Number.MAX_VALUE).map((entry) => entry._seq),
    [2, 1],
  );
  assert.equal(heap.size, 1);
});

test('DeadlineHeap skips cancelled entries at every position', () => {
  const heap = new DeadlineHeap<Entry>();
  const entries = Array.from({ length: 500 }, (_, seq) => new Entry(seq % 7, seq));
  for (const entry of entries) heap.push(entry);
  for (const entry of entries) if (entry._seq % 3 === 0) cancel(heap, entry);
  assert.equal(heap.size, entries.filter((entry) => !entry.dead).length);
  assert.deepEqual(new Set(heap), new Set(entries.filter((entry) => !entry.dead)));
  const popped = drain(heap);
  assert.ok(popped.every((entry) => !entry.dead));
  assert.equal(popped.length, entries.filter((entry) => !entry.dead).length);
});

test('DeadlineHeap.clear() empties the heap, which can be used again', () => {
  const heap = new DeadlineHeap<Entry>();
  for (let seq = 0; seq < 500; seq++) heap.push(new Entry(seq, seq));
  cancel(heap, [...heap][250] as Entry);
  heap.clear();
  assert.equal(heap.size, 0);
  assert.equal(heap.nextWhen(), Number.POSITIVE_INFINITY);
  heap.push(new Entry(1, 0));
  assert.equal(heap.popDue(1)?._when, 1);
});

test('DeadlineHeap still counts right when it shrinks after its last cancelled entries are dropped', () => {
  const heap = new DeadlineHeap<Entry>();
  const entries = Array.from({ length: 100 }, (_, seq) => new Entry(seq, seq));
  for (const entry of entries) heap.push(entry);
  drain(heap, 67);
  for (const entry of entries.slice(68)) cancel(heap, entry);
  assert.equal(heap.nextWhen(), Number.POSITIVE_INFINITY);
  assert.equal(heap.size, 0);
  const last = new Entry(7, 100);
  heap.push(last);
  cancel(heap, last);
  assert.equal(heap.nextWhen(), Number.POSITIVE_INFINITY);
  assert.equal(heap.size, 0);
});

test('DeadlineHeap stays flat while a million entries are added and cancelled beside a few live ones', async () => {
  const heap = new DeadlineHeap<Entry>();
  const live = Array.from({ length: 10 }, (_, i) => new Entry(1e9 + i, i));
  for (const entry of live) heap.push(entry);
  const before = await heapUsed();
  let most = 0;
  for (let seq = 10; seq < 1_000_010; seq++) {
    const entry = new Entry(seq, seq);
    heap.push(entry);
    cancel(heap, entry);
    if (seq % 100_000 === 0) most = Math.max(most, await heapUsed());
  }
  assert.ok(most - before < 1e6, `grew by ${most - before} bytes`);
  assert.deepEqual(drain(heap), live);
});

test('DeadlineHeap frees the memory of a million cancelled entries', async () => {
  const heap = new DeadlineHeap<Entry>();
  const before = await heapUsed();
  const entries: Entry[] = [];
  for (let seq = 0; seq < 1_000_000; seq++) {
    const entry = new Entry(seq, seq);
    entries.push(entry);
    heap.push(entry);
  }
  for (const entry of entries.splice(0)) cancel(heap, entry);
  entries.length = 0;
  const left = (await heapUsed()) - before;
  assert.ok(left < 1e6, `${left} bytes are left`);
  assert.equal(heap.size, 0);
});

test('DeadlineHeap behaves like a sorted array for any order of pushes, pops and cancels', () => {
  // Deadlines come from a small range, so that ties are common. Cancels come in runs, so that sweeps happen.
  const call = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('push' as const), n: fc.integer({ min: 0, max: 20 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('burst' as const), n: fc.nat() }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('pop' as const), n: fc.integer({ min: 0, max: 20 }) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel' as const), n: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel many' as const), n: fc.nat() }) },
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 150 }), (calls) => {
      const heap = new DeadlineHeap<Entry>();
      let model: Entry[] = [];
      let seq = 0;
      const push = (when: number): void => {
        const entry = new Entry(when, seq++);
        heap.push(entry);
        model.push(entry);
        model.sort((a, b) => a._when - b._when || a._seq - b._seq);
      };
      const cancelAt = (at: number): void => {
        const entry = model.splice(at % model.length, 1)[0] as Entry;
        cancel(heap, entry);
      };
      for (const { kind, n } of calls) {
        switch (kind) {
          case 'push':
            push(n);
            break;
          case 'burst':
            for (let i = 0; i < 50; i++) push((n + i * 7) % 21);
            break;
          case 'pop': {
            const due = model.filter((entry) => entry._when <= n);
            model = model.filter((entry) => entry._when > n);
            assert.deepEqual(drain(heap, n), due);
            break;
          }
          case 'cancel':
            if (model.length > 0) cancelAt(n);
            break;
          case 'cancel many':
            for (let i = 0; i < 80 && model.length > 0; i++) cancelAt(n + i);
            break;
        }
        assert.equal(heap.size, model.length);
        assert.equal(heap.nextWhen(), model[0]?._when ?? Number.POSITIVE_INFINITY);
      }
      assert.deepEqual(drain(heap), model);
    }),
  );
});
