import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DeadlineEntry } from '../../src/base/deadline-queue.ts';
import { DeadlineQueue } from '../../src/base/deadline-queue.ts';
import { collectGarbage, heapUsed } from '../helpers/gc.ts';

class Entry implements DeadlineEntry<Entry> {
  readonly _when: number;
  readonly _seq: number;
  _next: Entry | null = null;
  dead = false;

  constructor(when: number, seq: number) {
    this._when = when;
    this._seq = seq;
  }

  cancelled(): boolean {
    return this.dead;
  }
}

function cancel(queue: DeadlineQueue<Entry>, entry: Entry): void {
  entry.dead = true;
  queue.cancelled();
}

function drain(queue: DeadlineQueue<Entry>, now = Number.POSITIVE_INFINITY): Entry[] {
  const popped: Entry[] = [];
  for (let entry = queue.popDue(now); entry !== undefined; entry = queue.popDue(now)) popped.push(entry);
  return popped;
}

/** Not the difference of the deadlines: that of two infinite ones is NaN. */
function byDeadline(a: Entry, b: Entry): number {
  return a._when < b._when ? -1 : a._when > b._when ? 1 : a._seq - b._seq;
}

test('DeadlineQueue returns due entries in order of deadline', () => {
  const queue = new DeadlineQueue<Entry>();
  for (const [seq, when] of [5, 1, 4, 1.5, 3].entries()) queue.push(new Entry(when, seq));
  assert.equal(queue.nextWhen(), 1);
  assert.deepEqual(
    drain(queue, 3).map((entry) => entry._when),
    [1, 1.5, 3],
  );
  assert.equal(queue.nextWhen(), 4);
  assert.equal(queue.size, 2);
});

test('DeadlineQueue returns equal deadlines in order of scheduling', () => {
  const queue = new DeadlineQueue<Entry>();
  for (let seq = 0; seq < 1000; seq++) queue.push(new Entry(seq % 3, seq));
  const popped = drain(queue);
  assert.deepEqual(popped, [...popped].sort(byDeadline));
  assert.equal(popped.length, 1000);
});

test('DeadlineQueue returns an entry at its deadline, and none before it', () => {
  const queue = new DeadlineQueue<Entry>();
  queue.push(new Entry(2, 0));
  assert.equal(queue.popDue(2 - Number.EPSILON * 2), undefined);
  assert.equal(queue.popDue(2)?._seq, 0);
});

test('DeadlineQueue.nextWhen() is Infinity when the queue is empty or every entry in it is cancelled', () => {
  const queue = new DeadlineQueue<Entry>();
  assert.equal(queue.nextWhen(), Number.POSITIVE_INFINITY);
  const entry = new Entry(1, 0);
  queue.push(entry);
  cancel(queue, entry);
  assert.equal(queue.nextWhen(), Number.POSITIVE_INFINITY);
  assert.equal(queue.size, 0);
});

test('DeadlineQueue accepts infinite deadlines of both signs', () => {
  const queue = new DeadlineQueue<Entry>();
  queue.push(new Entry(Number.POSITIVE_INFINITY, 0));
  queue.push(new Entry(0, 1));
  queue.push(new Entry(Number.NEGATIVE_INFINITY, 2));
  assert.deepEqual(
    drain(queue, Number.MAX_VALUE).map((entry) => entry._seq),
    [2, 1],
  );
  assert.equal(queue.size, 1);
});

test('DeadlineQueue skips cancelled entries at every position', () => {
  const queue = new DeadlineQueue<Entry>();
  const entries = Array.from({ length: 500 }, (_, seq) => new Entry(seq % 7, seq));
  for (const entry of entries) queue.push(entry);
  for (const entry of entries) if (entry._seq % 3 === 0) cancel(queue, entry);
  const left = entries.filter((entry) => entry._seq % 3 !== 0);
  assert.equal(queue.size, left.length);
  assert.deepEqual(new Set(queue), new Set(left));
  assert.deepEqual(drain(queue), left.sort(byDeadline));
});

test('DeadlineQueue.clear() empties the queue, which can be used again', () => {
  const queue = new DeadlineQueue<Entry>();
  for (let seq = 0; seq < 500; seq++) queue.push(new Entry(seq, seq));
  cancel(queue, [...queue][250] as Entry);
  queue.clear();
  assert.equal(queue.size, 0);
  assert.equal(queue.nextWhen(), Number.POSITIVE_INFINITY);
  queue.push(new Entry(1, 0));
  assert.equal(queue.popDue(1)?._when, 1);
});

test('DeadlineQueue still counts right when it shrinks after its last cancelled entries are dropped', () => {
  const queue = new DeadlineQueue<Entry>();
  const entries = Array.from({ length: 100 }, (_, seq) => new Entry(seq, seq));
  for (const entry of entries) queue.push(entry);
  drain(queue, 67);
  for (const entry of entries.slice(68)) cancel(queue, entry);
  assert.equal(queue.nextWhen(), Number.POSITIVE_INFINITY);
  assert.equal(queue.size, 0);
  const last = new Entry(7, 100);
  queue.push(last);
  cancel(queue, last);
  assert.equal(queue.nextWhen(), Number.POSITIVE_INFINITY);
  assert.equal(queue.size, 0);
});

test('DeadlineQueue keeps no reference to an entry that has left it', async () => {
  const queue = new DeadlineQueue<Entry>();
  const others: WeakRef<Entry>[] = [];
  const first = (() => {
    const entries = Array.from({ length: 500 }, (_, seq) => new Entry(seq / 10, seq));
    for (const entry of entries) queue.push(entry);
    drain(queue);
    others.push(...entries.slice(1).map((entry) => new WeakRef(entry)));
    return entries[0] as Entry;
  })();
  await collectGarbage();
  assert.equal(others.filter((entry) => entry.deref() !== undefined).length, 0);
  assert.equal(first._next, null);
});

test('DeadlineQueue stays flat while a million entries are added and cancelled beside a few live ones', async () => {
  const queue = new DeadlineQueue<Entry>();
  const live = Array.from({ length: 10 }, (_, i) => new Entry(1e9 + i, i));
  for (const entry of live) queue.push(entry);
  const before = await heapUsed();
  let most = 0;
  for (let seq = 10; seq < 1_000_010; seq++) {
    const entry = new Entry(seq, seq);
    queue.push(entry);
    cancel(queue, entry);
    if (seq % 100_000 === 0) most = Math.max(most, await heapUsed());
  }
  assert.ok(most - before < 1e6, `grew by ${most - before} bytes`);
  assert.deepEqual(drain(queue), live);
});

test('DeadlineQueue frees the memory of a million cancelled entries', async () => {
  const queue = new DeadlineQueue<Entry>();
  const before = await heapUsed();
  const entries: Entry[] = [];
  for (let seq = 0; seq < 1_000_000; seq++) {
    const entry = new Entry(seq, seq);
    entries.push(entry);
    queue.push(entry);
  }
  for (const entry of entries.splice(0)) cancel(queue, entry);
  entries.length = 0;
  const left = (await heapUsed()) - before;
  assert.ok(left < 1e6, `${left} bytes are left`);
  assert.equal(queue.size, 0);
});

test('DeadlineQueue behaves like a sorted array for any order of pushes, pops and cancels', () => {
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
      const queue = new DeadlineQueue<Entry>();
      let model: Entry[] = [];
      let seq = 0;
      const push = (when: number): void => {
        const entry = new Entry(when, seq++);
        queue.push(entry);
        model.push(entry);
        model.sort(byDeadline);
      };
      const cancelAt = (at: number): void => {
        const entry = model.splice(at % model.length, 1)[0] as Entry;
        cancel(queue, entry);
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
            assert.deepEqual(drain(queue, n), due);
            break;
          }
          case 'cancel':
            if (model.length > 0) cancelAt(n);
            break;
          case 'cancel many':
            for (let i = 0; i < 80 && model.length > 0; i++) cancelAt(n + i);
            break;
        }
        assert.equal(queue.size, model.length);
        assert.equal(queue.nextWhen(), model[0]?._when ?? Number.POSITIVE_INFINITY);
      }
      assert.deepEqual(drain(queue), model);
    }),
  );
});

/** Deadlines of `count` entries, each kind a different distribution. */
const DISTRIBUTIONS: Record<string, (i: number, count: number, random: () => number) => number> = {
  equal: () => 5,
  'nearly equal': (i) => (i % 100 === 0 ? 4 + (i % 3) : 5),
  uniform: (_i, _count, random) => random() * 10,
  whole: (_i, _count, random) => Math.floor(random() * 10),
  ascending: (i, count) => (i / count) * 10,
  descending: (i, count) => 10 - (i / count) * 10,
  periodic: (i) => (i % 16) / 16,
  exponential: (_i, _count, random) => 2 ** (random() * 2000 - 1000),
  'far and near': (i, _count, random) => (i % 2 === 0 ? 1e9 : 0) + random(),
  infinite: (i, _count, random) => (i % 3 === 0 ? (i % 2 === 0 ? Infinity : -Infinity) : random()),
};

test('DeadlineQueue behaves like a sorted array with thousands of entries of any distribution', () => {
  const step = fc.record({
    kind: fc.constantFrom('push', 'pop', 'pop and push', 'cancel', 'cancel the first', 'look'),
    distribution: fc.constantFrom(...Object.keys(DISTRIBUTIONS)),
    count: fc.integer({ min: 1, max: 3000 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 3, maxLength: 12 }), (steps) => {
      const queue = new DeadlineQueue<Entry>();
      let model: Entry[] = [];
      let seq = 0;
      const push = (when: number): void => {
        const entry = new Entry(when, seq++);
        queue.push(entry);
        model.push(entry);
      };
      for (const { kind, distribution, count, share, seed } of steps) {
        const deadlines = DISTRIBUTIONS[distribution] as (typeof DISTRIBUTIONS)[string];
        const random = pseudoRandom(seed);
        switch (kind) {
          case 'push':
            for (let i = 0; i < count; i++) push(deadlines(i, count, random));
            break;
          case 'pop': {
            const now = model[Math.floor(share * (model.length - 1))]?._when ?? 0;
            const due = model.filter((entry) => entry._when <= now);
            model = model.filter((entry) => entry._when > now);
            assert.deepEqual(drain(queue, now), due);
            break;
          }
          case 'pop and push':
            // Each entry that is due schedules another one, which may be due before those that are left.
            for (let i = 0; i < Math.min(count, 300); i++) {
              assert.equal(queue.popDue(Infinity), model.shift());
              push(deadlines(i, count, random));
              model.sort(byDeadline);
            }
            break;
          case 'cancel': {
            const cancelled = new Set(model.filter(() => random() < share));
            for (const entry of cancelled) cancel(queue, entry);
            model = model.filter((entry) => !cancelled.has(entry));
            break;
          }
          case 'cancel the first':
            for (const entry of model.splice(0, Math.floor(share * model.length))) cancel(queue, entry);
            break;
          case 'look':
            assert.deepEqual(new Set(queue), new Set(model));
            break;
        }
        model.sort(byDeadline);
        assert.equal(queue.size, model.length);
        assert.equal(queue.nextWhen(), model[0]?._when ?? Infinity);
      }
      assert.deepEqual(drain(queue), model);
    }),
    { numRuns: 50 },
  );
});

test('DeadlineQueue takes no quadratic time for any distribution of deadlines', () => {
  // Quadratic time would be more than 20 seconds.
  const milliseconds = (distribution: string): number => {
    const deadlines = DISTRIBUTIONS[distribution] as (typeof DISTRIBUTIONS)[string];
    const random = pseudoRandom(1);
    const entries = Array.from({ length: 100_000 }, (_, i) => new Entry(deadlines(i, 100_000, random), i));
    const queue = new DeadlineQueue<Entry>();
    const begin = process.cpuUsage();
    for (const entry of entries) queue.push(entry);
    drain(queue);
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1000;
  };
  for (const distribution of Object.keys(DISTRIBUTIONS)) {
    const spent = milliseconds(distribution);
    assert.ok(spent < 5000, `${distribution}: ${spent} ms`);
  }
});

function pseudoRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
}
