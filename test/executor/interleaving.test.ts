/**
 * Jobs that end, fail, are cancelled or kill their worker at any moment, while others are sent ahead of them.
 * Each job marks its start in a file or in shared memory, so that a job that runs twice is seen.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CancelledError, currentJob } from '../../src/index.ts';
import type { AnyPool } from './pools.ts';
import { kinds } from './pools.ts';

/** The ways of a job, and the number of turns after which its caller cancels it; -1: never. */
interface Plan {
  way: 'return' | 'await' | 'throw' | 'report' | 'compute' | 'exit' | 'kill' | 'endless';
  cancelAfter: number;
  /** The number of turns before the next job is submitted. */
  pause: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  way: fc.oneof(
    { weight: 12, arbitrary: fc.constant('return' as const) },
    { weight: 3, arbitrary: fc.constantFrom('await' as const, 'throw' as const, 'report' as const) },
    { weight: 1, arbitrary: fc.constantFrom('compute' as const, 'exit' as const, 'kill' as const) },
    { weight: 1, arbitrary: fc.constant('endless' as const) },
  ),
  cancelAfter: fc.oneof(
    { weight: 4, arbitrary: fc.constant(-1) },
    { weight: 1, arbitrary: fc.nat({ max: 8 }) },
  ),
  pause: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 3 }) }),
});

/** Marks its start synchronously, so that the mark is there even if the job kills its process. */
async function perform(id: number, way: Plan['way'], log: string): Promise<number> {
  const { appendFileSync } = await import('node:fs');
  appendFileSync(log, `${id}\n`);
  switch (way) {
    case 'await':
      await new Promise((resolve) => setImmediate(resolve));
      break;
    case 'throw':
      throw new RangeError(`${id}`);
    case 'report':
      for (let i = 0; i < 3; i++) currentJob()?.reportProgress(i);
      break;
    case 'compute':
      for (let i = 0; i < 5e6; i++);
      break;
    case 'exit':
      return process.exit(3);
    case 'kill': {
      const { isMainThread } = await import('node:worker_threads');
      if (!isMainThread) process.exit(4);
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => {});
    }
    case 'endless':
      return new Promise(() => {});
    default:
  }
  return id;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function runPlans(pool: AnyPool, plans: readonly Plan[], log: string): Promise<void> {
  const outcomes: Promise<void>[] = [];
  const cancelled = new Set<number>();
  for (const [id, { way, cancelAfter, pause }] of plans.entries()) {
    const controller = new AbortController();
    const { signal } = controller;
    const seen: unknown[] = [];
    const onProgress = (value: unknown): unknown => seen.push(value);
    const job = pool.submit(perform, [id, way, log], { signal, onProgress });
    outcomes.push(
      job.then(
        (value) => {
          assert.equal(value, id);
          assert.deepEqual(seen, way === 'report' ? [0, 1, 2] : []);
        },
        (error) => {
          if (error instanceof CancelledError) assert.equal(cancelled.has(id), true);
          else if (error instanceof RangeError) assert.deepEqual([way, error.message], ['throw', `${id}`]);
          else assert.deepEqual([error.code, ['exit', 'kill'].includes(way)], ['ERR_BROKEN_EXECUTOR', true]);
        },
      ),
    );
    const after = way === 'endless' ? Math.max(cancelAfter, 0) : cancelAfter;
    if (after >= 0) void cancelLater(id, controller, after);
    for (let i = 0; i < pause; i++) await turn();
  }
  await Promise.all(outcomes);
  await pool.shutdown();
  const starts = readFileSync(log, 'utf8').split('\n').filter(Boolean).map(Number);
  assert.equal(new Set(starts).size, starts.length, `a job ran twice: ${starts}`);
  for (const [id] of plans.entries()) {
    if (!cancelled.has(id)) assert.equal(starts.includes(id), true, `job ${id} never ran`);
  }

  async function cancelLater(id: number, controller: AbortController, turns: number): Promise<void> {
    for (let i = 0; i < turns; i++) await turn();
    cancelled.add(id);
    controller.abort();
  }
}

for (const { kind, make } of kinds) {
  describe(`jobs of a ${kind} pool that are sent ahead`, () => {
    test('each job runs once or its caller cancelled it, whichever jobs fail, are cancelled, or kill their worker', async () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'gyre-jobs-'));
      let run = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(plan, { minLength: 1, maxLength: 40 }),
          fc.integer({ min: 1, max: 3 }),
          fc.constantFrom(0, 0.01),
          async (plans, maxWorkers, gracePeriod) => {
            const log = path.join(folder, `${run++}`);
            writeFileSync(log, '');
            const pool = make({ maxWorkers, gracePeriod });
            // Short jobs first, so that the pool sends the others ahead.
            for (let i = 0; i < 20; i++) await pool.submit(perform, [-1 - i, 'return', log]);
            await runPlans(pool, plans, log);
          },
        ),
        { numRuns: 5 },
      );
      rmSync(folder, { recursive: true });
    });

    test('short jobs behind a long one run in another worker as soon as that is idle', async () => {
      await using pool = make({ maxWorkers: 2, gracePeriod: Number.POSITIVE_INFINITY });
      for (let round = 0; round < 5; round++) {
        await Promise.all(Array.from({ length: 100 }, () => pool.submit(() => {}, [])));
        const controller = new AbortController();
        const { signal } = controller;
        // A job that awaits: a process that computes cannot give jobs back.
        const wait = async (): Promise<void> => {
          const signal = currentJob()?.signal as AbortSignal;
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        };
        const short = Array.from({ length: 20 }, (_, i) => pool.submit((n: number) => n, [i]));
        const long = pool.submit(wait, [], { signal });
        const behind = Array.from({ length: 60 }, (_, i) => pool.submit((n: number) => n, [i]));
        await Promise.all([...short, ...behind]);
        controller.abort();
        await assert.rejects(long, CancelledError);
      }
    });

    test('one worker begins jobs in the order of submit(), with cancelled jobs between', async () => {
      await using pool = make({ maxWorkers: 1 });
      await Promise.all(Array.from({ length: 50 }, () => pool.submit(() => {}, [])));
      await pool.submit(() => {
        (globalThis as { order?: number[] }).order = [];
      }, []);
      const controller = new AbortController();
      const { signal } = controller;
      const jobs = Array.from({ length: 200 }, (_, i) =>
        pool.submit(
          (n: number) => {
            (globalThis as { order?: number[] }).order?.push(n);
          },
          [i],
          i % 3 === 0 ? { signal } : {},
        ),
      );
      controller.abort();
      const settled = await Promise.allSettled(jobs);
      const order = await pool.submit(() => (globalThis as { order?: number[] }).order as number[], []);
      assert.deepEqual(
        order,
        [...order].sort((a, b) => a - b),
      );
      for (const [i, { status }] of settled.entries()) {
        if (i % 3 !== 0) assert.deepEqual([status, order.includes(i)], ['fulfilled', true]);
      }
    });

    test('shutdown({ cancelPending: true }) cancels the jobs that were sent ahead', async () => {
      const pool = make({ maxWorkers: 1 });
      await Promise.all(Array.from({ length: 100 }, () => pool.submit(() => {}, [])));
      const first = pool.submit(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return 'done';
      }, []);
      const others = Array.from({ length: 50 }, () => pool.submit(() => {}, []));
      const down = pool.shutdown({ cancelPending: true });
      const settled = await Promise.allSettled(others);
      assert.equal(await first, 'done');
      await down;
      for (const each of settled) {
        if (each.status === 'rejected') assert.equal(each.reason instanceof CancelledError, true);
      }
      assert.equal(settled.at(-1)?.status, 'rejected');
    });

    test('a pool whose 20,000 queued jobs are cancelled goes on', async () => {
      await using pool = make({ maxWorkers: 1 });
      // A signal for each, because adding many listeners to one takes quadratic time in Node.
      const controllers = Array.from({ length: 20_000 }, () => new AbortController());
      const jobs = controllers.map(({ signal }) => pool.submit(() => {}, [], { signal }));
      for (const controller of controllers) controller.abort();
      const settled = await Promise.allSettled(jobs);
      assert.equal(settled.at(-1)?.status, 'rejected');
      assert.equal(await pool.submit(() => 5, []), 5);
    });

    test('functions that are made anew for each job run, more of them than a worker keeps', async () => {
      await using pool = make({ maxWorkers: 2 });
      const made = Array.from({ length: 2500 }, (_, i) => new Function(`return ${i};`) as () => number);
      const results = await Promise.all(made.map((fn) => pool.submit(fn, [])));
      assert.deepEqual(
        results,
        made.map((_, i) => i),
      );
      assert.equal(await pool.submit(made[3] as () => number, []), 3);
    });

    test('two pools work side by side, and a pool works in a worker of another', async () => {
      await using one = make({ maxWorkers: 1 });
      await using two = make({ maxWorkers: 1 });
      const sums = await Promise.all(
        Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? one : two).submit((n: number) => n + 1, [i])),
      );
      assert.deepEqual(
        sums,
        Array.from({ length: 100 }, (_, i) => i + 1),
      );
      const nested = await one.submit(
        async (url: string) => {
          const { ThreadPoolExecutor } = (await import(url)) as typeof import('../../src/index.ts');
          const inner = new ThreadPoolExecutor({ maxWorkers: 1 });
          const result = await inner.submit((n: number) => n * 2, [21]);
          await inner.shutdown();
          return result;
        },
        [new URL('../../src/index.ts', import.meta.url).href],
      );
      assert.equal(nested, 42);
    });
  });
}
