import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CancelledError } from '../../src/index.ts';
import type { AnyPool } from './pools.ts';
import { jobs, kinds, withPool } from './pools.ts';

type Step =
  | { what: 'add'; n: number }
  | { what: 'fail' }
  | { what: 'exit' }
  | { what: 'spin' | 'wait'; abortAfter: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('add' as const), n: fc.integer() }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('fail' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('exit' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constantFrom('spin' as const, 'wait' as const),
      abortAfter: fc.nat({ max: 6 }),
    }),
  },
);

/** Submits the job of a step. The promise is fulfilled if the job ends as expected. */
function perform(pool: AnyPool, each: Step, aborts: Map<AbortController, number>): Promise<void> {
  switch (each.what) {
    case 'add':
      return pool.submit((n: number) => n + 1, [each.n]).then((sum) => assert.equal(sum, each.n + 1));
    case 'fail':
      return assert.rejects(
        pool.submit(() => {
          throw new RangeError('of the job');
        }, []),
        { name: 'RangeError', message: 'of the job' },
      );
    case 'exit':
      return assert.rejects(
        pool.submit(() => process.exit(3), []),
        { code: 'ERR_BROKEN_EXECUTOR' },
      );
    default: {
      const controller = new AbortController();
      aborts.set(controller, each.abortAfter);
      const spin = (): void => {
        for (;;);
      };
      const wait = async (): Promise<never> => new Promise(() => {});
      const fn = each.what === 'spin' ? spin : wait;
      return assert.rejects(pool.submit(fn as () => void, [], { signal: controller.signal }), CancelledError);
    }
  }
}

for (const { kind, make } of kinds) {
  describe(`a ${kind} pool under load`, () => {
    test('a pool ends each job as expected, and then itself, for any order of failures, crashes and cancels', () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 1, maxLength: 25 }),
          fc.integer({ min: 1, max: 3 }),
          fc.constantFrom(0, 0.01),
          async (steps, maxWorkers, gracePeriod) => {
            const pool = make({ maxWorkers, gracePeriod });
            const aborts = new Map<AbortController, number>();
            const done = Promise.all(steps.map((each) => perform(pool, each, aborts)));
            for (let turn = 0; aborts.size > 0; turn++) {
              for (const [controller, when] of aborts) {
                if (turn < when) continue;
                controller.abort();
                aborts.delete(controller);
              }
              await new Promise((resolve) => setImmediate(resolve));
            }
            await done;
            await pool.shutdown();
          },
        ),
        { numRuns: 6 },
      ));

    test('a pool runs 5,000 jobs at once, each with its own result', () =>
      withPool(make({ maxWorkers: 2 }), async (pool) => {
        const results = await Promise.all(
          Array.from({ length: 5000 }, (_, n) => pool.submit((a: number) => a * 2, [n])),
        );
        assert.deepEqual(
          results,
          Array.from({ length: 5000 }, (_, n) => n * 2),
        );
      }));

    test('failed, cancelled and dropped jobs leave no handle in the worker or in the parent', async () => {
      const anyNumber = Number.POSITIVE_INFINITY;
      const before = await ports(anyNumber);
      const descriptors = openDescriptors();
      await withPool(make({ maxWorkers: 1, gracePeriod: anyNumber }), async (pool) => {
        await pool.submit(jobs.stoppedBy, []);
        const inWorker = await pool.submit(ports, [anyNumber]);
        const here = await ports(anyNumber);
        for (let i = 0; i < 50; i++) {
          const controller = new AbortController();
          const { signal } = controller;
          const failing = pool.submit(jobs.throwValue, [i], { signal });
          const cancelled = pool.submit(jobs.waitPolitely, [], { signal });
          const dropped = pool.submit(jobs.fib, [5], { signal });
          if (i % 2 === 0) await failing.catch(() => {});
          controller.abort();
          await Promise.allSettled([failing, cancelled, dropped]);
        }
        // These jobs would never end.
        await pool.submit(ports, [inWorker]);
        await ports(here);
      });
      await ports(before);
      assert.equal(openDescriptors(), descriptors);
    });
  });
}

/**
 * Returns the number of libuv's `async` handles of this thread, including ports that do not keep it alive.
 * Waits until there are at most `most`, because the host needs a turn to close a handle.
 */
async function ports(most: number): Promise<number> {
  const count = (): number => {
    const report = process.report.getReport() as unknown as { libuv: { type: string }[] };
    return report.libuv.filter(({ type }) => type === 'async').length;
  };
  while (count() > most) await new Promise((resolve) => setImmediate(resolve));
  return count();
}

function openDescriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}
