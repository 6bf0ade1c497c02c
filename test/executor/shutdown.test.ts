import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CancelledError, ProcessPoolExecutor, ThreadPoolExecutor } from '../../src/index.ts';
import { jobs, kinds } from './pools.ts';

for (const { kind, make } of kinds) {
  describe(`shutdown() of a ${kind} pool`, () => {
    test('shutdown() waits for running and queued jobs, and for the workers', async () => {
      const pool = make({ maxWorkers: 1 });
      const pid = await pool.submit(() => process.pid, []);
      const order: string[] = [];
      const results = [1, 2, 3].map((n) => pool.submit(jobs.fib, [10]).then(() => order.push(`${n}`)));
      await pool.shutdown();
      assert.deepEqual(order, ['1', '2', '3']);
      await Promise.all(results);
      if (kind === 'process') assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    });

    test('shutdown({ cancelPending: true }) cancels the queued jobs, and waits for the running ones', async () => {
      const pool = make({ maxWorkers: 1 });
      const running = pool.submit(jobs.fib, [10]);
      const waiting = pool.submit(jobs.exit, [3]);
      const down = pool.shutdown({ cancelPending: true });
      await assert.rejects(waiting, CancelledError);
      assert.equal(await running, 55);
      await down;
    });

    test('shutdown({ wait: false }) returns at once', async () => {
      const pool = make({ maxWorkers: 1 });
      const order: string[] = [];
      const running = pool.submit(jobs.fib, [20]).then(() => order.push('job'));
      await pool.shutdown({ wait: false });
      order.push('shutdown');
      await running;
      assert.deepEqual(order, ['shutdown', 'job']);
      await pool.shutdown();
    });

    test('submit() after shutdown() throws at the call', async () => {
      const pool = make({ maxWorkers: 1 });
      await pool.shutdown();
      await pool.shutdown();
      assert.throws(() => void pool.submit(jobs.fib, [5]), {
        name: 'BrokenExecutorError',
        code: 'ERR_BROKEN_EXECUTOR',
        message: 'this executor was shut down and accepts no more functions',
      });
      const down = make({ maxWorkers: 1 });
      const running = down.submit(jobs.fib, [5]);
      const closing = down.shutdown();
      assert.throws(() => void down.submit(jobs.fib, [5]), { code: 'ERR_BROKEN_EXECUTOR' });
      await Promise.all([running, closing, down.shutdown()]);
    });

    test('shutdown() ends although a worker dies meanwhile with jobs queued', async () => {
      const pool = make({ maxWorkers: 1 });
      const dying = pool.submit(jobs.exit, [3]).catch(({ code }) => code);
      const behind = pool.submit(jobs.fib, [5]);
      await pool.shutdown();
      assert.deepEqual(await Promise.all([dying, behind]), ['ERR_BROKEN_EXECUTOR', 5]);
    });

    test('shutdown() ends although a running or queued job is cancelled meanwhile', async () => {
      const pool = make({ maxWorkers: 1, gracePeriod: 0 });
      const controller = new AbortController();
      const { signal } = controller;
      const endless = [pool.submit(jobs.spin, [], { signal }), pool.submit(jobs.spin, [], { signal })];
      const down = pool.shutdown();
      controller.abort();
      for (const each of endless) await assert.rejects(each, CancelledError);
      await down;
    });

    test('shutdown() of a pool without workers ends at once', async () => {
      assert.equal(await make().shutdown(), undefined);
      await using _pool = make();
    });

    test('await using shuts a pool down', async () => {
      let result = 0;
      {
        await using pool = make({ maxWorkers: 1 });
        void pool.submit(jobs.fib, [10]).then((value) => {
          result = value;
        });
      }
      assert.equal(result, 55);
    });
  });
}

describe('the options of a pool', () => {
  test('a pool and its shutdown() check their options at the call', async () => {
    for (const Pool of [ThreadPoolExecutor, ProcessPoolExecutor]) {
      for (const maxWorkers of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e6]) {
        assert.throws(() => new Pool({ maxWorkers }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
      }
      for (const gracePeriod of [-1, Number.NaN, 3_000_000]) {
        assert.throws(() => new Pool({ gracePeriod }), {
          name: 'RangeError',
          message:
            /options\.gracePeriod" argument must be a number of seconds from 0 to 2147483, or Infinity/,
        });
      }
      for (const options of [{ maxWorkers: '2' }, { gracePeriod: '1' }, { workers: 2 }, null, 5]) {
        assert.throws(() => new Pool(options as object), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      }
      const pool = new Pool();
      for (const options of [{ signal: 5 }, { transfer: 5 }, { onProgress: 5 }, { onEvent() {} }, null]) {
        assert.throws(() => void pool.submit(jobs.fib, [5], options as object), {
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
        });
      }
      for (const options of [{ signal: AbortSignal.abort() }, { transfer: 5 }, { onProgress: 5 }, 5]) {
        assert.throws(() => pool.withOptions(options as object), { code: 'ERR_INVALID_ARG_TYPE' });
      }
      for (const options of [{ wait: 1 }, { cancelPending: 'yes' }, { now: true }]) {
        assert.throws(() => void pool.shutdown(options as object), { code: 'ERR_INVALID_ARG_TYPE' });
      }
      assert.equal(pool.maxWorkers >= 1, true);
      await pool.shutdown();
    }
  });
});
