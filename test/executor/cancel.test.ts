import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CancelledError, importFunctions } from '../../src/index.ts';
import type { AnyPool } from './pools.ts';
import { jobs, kinds, withPool } from './pools.ts';

/** A module that is loaded while the job that needs it is being cancelled. */
const slow = importFunctions<{ mark: () => void; hasRan: () => boolean }>(
  `data:text/javascript,${encodeURIComponent(`
    let ran = false;
    const job = globalThis[Symbol.for('gyre.currentJob')];
    job.reportProgress('loading');
    const { signal } = job;
    await new Promise((resolve) => signal.aborted ? resolve() : signal.addEventListener('abort', resolve));
    export const mark = () => { ran = true; };
    export const hasRan = () => ran;`)}`,
);

/** Submits a job that reports when it has begun. Then returns its promise and the function that aborts it. */
async function begun<T>(
  pool: AnyPool,
  fn: () => T,
): Promise<{ done: Promise<unknown>; controller: AbortController }> {
  const controller = new AbortController();
  let tell = (_value: unknown): void => {};
  const reported = new Promise((resolve) => {
    tell = resolve;
  });
  const done = pool.submit(fn, [], { signal: controller.signal, onProgress: tell });
  done.catch(() => {});
  await reported;
  return { done, controller };
}

function isAborted(reason: unknown): (error: unknown) => boolean {
  return (error) => {
    assert.equal(error instanceof CancelledError, true);
    assert.equal((error as Error).cause, reason);
    return true;
  };
}

for (const { kind, make } of kinds) {
  describe(`cancelling a job of a ${kind}`, () => {
    test('an aborted signal starts no job', () =>
      withPool(make({ maxWorkers: 1 }), async (pool) => {
        const signal = AbortSignal.abort('early');
        await assert.rejects(pool.submit(jobs.exit, [3], { signal }), isAborted('early'));
      }));

    test('a queued job that is cancelled never runs, and does not delay the jobs behind it', () =>
      withPool(make({ maxWorkers: 1 }), async (pool) => {
        const order: string[] = [];
        const controller = new AbortController();
        const first = pool.submit(jobs.later, ['a', 1]).then(() => order.push('first'));
        const dropped = pool.submit(jobs.exit, [3], { signal: controller.signal });
        const last = pool.submit(jobs.later, ['b', 1]).then(() => order.push('last'));
        controller.abort('not now');
        await assert.rejects(dropped, isAborted('not now'));
        await Promise.all([first, last]);
        assert.deepEqual(order, ['first', 'last']);
      }));

    test('a cancelled job that stops in time keeps its worker', () =>
      withPool(make({ maxWorkers: 1, gracePeriod: Number.POSITIVE_INFINITY }), async (pool) => {
        const worker = await pool.submit(jobs.whoAmI, []);
        const { done, controller } = await begun(pool, jobs.waitPolitely);
        controller.abort('stop');
        await assert.rejects(done, isAborted('stop'));
        assert.equal(await pool.submit(jobs.stoppedBy, []), 'signal: CancelledError, true');
        assert.equal(await pool.submit(jobs.whoAmI, []), worker);
      }));

    test('a cancelled job that does not stop is ended with its worker, and the next job gets a new one', () =>
      withPool(make({ maxWorkers: 1, gracePeriod: 0.05 }), async (pool) => {
        const worker = await pool.submit(jobs.whoAmI, []);
        for (const endless of [jobs.spinForEver, jobs.waitForEver]) {
          const { done, controller } = await begun(pool, endless);
          const next = pool.submit(jobs.whoAmI, []);
          controller.abort('enough');
          await assert.rejects(done, isAborted('enough'));
          assert.notEqual(await next, worker);
        }
      }));

    test('a cancelled job is ended at once if there is no grace period', () =>
      withPool(make({ maxWorkers: 1, gracePeriod: 0 }), async (pool) => {
        const { done, controller } = await begun(pool, jobs.waitPolitely);
        controller.abort();
        await assert.rejects(done, CancelledError);
        assert.equal(await pool.submit(jobs.stoppedBy, []), undefined);
      }));

    test('a job that is cancelled while its worker starts, or its module loads, never begins', () =>
      withPool(make({ maxWorkers: 1, gracePeriod: Number.POSITIVE_INFINITY }), async (pool) => {
        // The same worker all the time: there is no room for another.
        const controller = new AbortController();
        const dropped = pool.submit(jobs.markRan, [], { signal: controller.signal });
        controller.abort();
        await assert.rejects(dropped, CancelledError);
        assert.equal(await pool.submit(jobs.hasRan, []), false);
        const loading = await begun(pool, slow.mark);
        loading.controller.abort();
        await assert.rejects(loading.done, CancelledError);
        assert.equal(await pool.submit(slow.hasRan, []), false);
      }));

    test('cancelling a done job changes nothing, for it or for the next one', () =>
      withPool(make({ maxWorkers: 1, gracePeriod: 0 }), async (pool) => {
        const controller = new AbortController();
        assert.equal(await pool.submit(jobs.fib, [5], { signal: controller.signal }), 5);
        const worker = await pool.submit(jobs.whoAmI, []);
        controller.abort();
        assert.equal(await pool.submit(jobs.whoAmI, []), worker);
      }));

    test('cancelling many running and queued jobs leaves the other jobs alone', () =>
      withPool(make({ maxWorkers: 2, gracePeriod: 0.05 }), async (pool) => {
        const spinning = await begun(pool, jobs.spinForEver);
        const controller = new AbortController();
        const results = Array.from({ length: 30 }, (_, i) =>
          pool.submit(jobs.fib, [10], i % 3 === 0 ? { signal: controller.signal } : {}),
        );
        controller.abort();
        spinning.controller.abort();
        const settled = await Promise.allSettled(results);
        await assert.rejects(spinning.done, CancelledError);
        for (const [i, { status }] of settled.entries()) {
          if (i % 3 !== 0) assert.equal(status, 'fulfilled');
        }
      }));
  });
}

describe('a job in a thread', () => {
  test('a cancelled job in a thread sees the cancel while it computes', () =>
    withPool(kinds[0]!.make({ maxWorkers: 1, gracePeriod: Number.POSITIVE_INFINITY }), async (pool) => {
      const { done, controller } = await begun(pool, jobs.spinPolitely);
      controller.abort();
      await assert.rejects(done, CancelledError);
      assert.equal(await pool.submit(jobs.stoppedBy, []), 'cancelled()');
    }));
});

describe('the signal of a job', () => {
  test('a signal has no listener left when its job is over', () =>
    withPool(kinds[0]!.make({ maxWorkers: 1 }), async (pool) => {
      const counter = countingSignal();
      await pool.submit(jobs.fib, [5], { signal: counter.signal });
      await assert.rejects(pool.submit(jobs.exit, [3], { signal: counter.signal }));
      assert.deepEqual(counter.counts(), { added: 2, removed: 2 });
    }));
});

function countingSignal(): { signal: AbortSignal; counts: () => { added: number; removed: number } } {
  const { signal } = new AbortController();
  let added = 0;
  let removed = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    added++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    removed++;
    removeEventListener.apply(signal, args);
  };
  return { signal, counts: () => ({ added, removed }) };
}
