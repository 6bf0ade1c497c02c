import assert from 'node:assert/strict';
import { on } from 'node:events';
import { describe, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { inheritedOptions } from '../../src/executor/worker-entry.ts';
import { BrokenExecutorError, currentJob, ProcessPoolExecutor, ThreadPoolExecutor } from '../../src/index.ts';
import { jobs, kinds, withPool } from './pools.ts';

for (const { kind, make } of kinds) {
  describe(`the workers of a ${kind} pool`, () => {
    test('a pool starts workers as jobs come, up to maxWorkers, and reuses them', () =>
      withPool(make({ maxWorkers: 2 }), async (pool) => {
        assert.equal(pool.maxWorkers, 2);
        const one = await pool.submit(jobs.whoAmI, []);
        assert.equal(await pool.submit(jobs.whoAmI, []), one);
        const names = await Promise.all(Array.from({ length: 8 }, () => pool.submit(jobs.whoAmI, [])));
        assert.equal(new Set(names).size <= 2, true);
        assert.equal(names.includes(one), true);
      }));

    test('a pool begins jobs in the order in which they were submitted', () =>
      withPool(make({ maxWorkers: 1 }), async (pool) => {
        const order: number[] = [];
        await Promise.all(
          Array.from({ length: 50 }, (_, i) => pool.submit(jobs.fib, [1]).then(() => order.push(i))),
        );
        assert.deepEqual(
          order,
          Array.from({ length: 50 }, (_, i) => i),
        );
      }));

    test('a worker that exits fails its own job and no other, also with jobs queued', () =>
      withPool(make({ maxWorkers: 1 }), async (pool) => {
        const exiting = pool.submit(jobs.exit, [3]);
        const others = [pool.submit(jobs.fib, [5]), pool.submit(jobs.fib, [6])];
        await assert.rejects(exiting, {
          name: 'BrokenExecutorError',
          code: 'ERR_BROKEN_EXECUTOR',
          message: `the worker ${kind} that ran exit exited with code 3`,
        });
        assert.deepEqual(await Promise.all(others), [5, 8]);
        // Even if no worker is left.
        const dying = Array.from({ length: 4 }, (_, i) => pool.submit(jobs.exit, [i]));
        for (const [i, each] of dying.entries()) {
          await assert.rejects(each, { message: new RegExp(`exited with code ${i}$`) });
        }
        assert.equal(await pool.submit(jobs.fib, [5]), 5);
      }));

    test('a worker that dies of an uncaught error names it', () =>
      withPool(make({ maxWorkers: 1 }), async (pool) => {
        await assert.rejects(pool.submit(jobs.crashOutside, []), (error: Error) => {
          assert.equal(error instanceof BrokenExecutorError, true);
          assert.match(error.message, /that ran crashOutside exited with code 1$/);
          assert.equal((error.cause as Error).message, 'nobody caught this');
          assert.equal((error.cause as Error).name, 'TypeError');
          return true;
        });
        assert.equal(await pool.submit(jobs.fib, [5]), 5);
      }));
  });
}

describe('a worker that dies while idle', () => {
  test('a pool replaces an idle thread that dies, and warns', () =>
    withPool(new ThreadPoolExecutor({ maxWorkers: 1 }), async (pool) => {
      const { port1, port2 } = new MessageChannel();
      const leaveBehind = (port: typeof port2): void => {
        port.once('message', () => process.exit(7));
      };
      await pool.submit(leaveBehind, [port2], { transfer: [port2] });
      const warned = brokenWarning();
      port1.postMessage('now');
      const warning = await warned;
      assert.equal(warning.message, 'the worker thread that ran leaveBehind exited with code 7');
      assert.equal(await pool.submit(jobs.fib, [5]), 5);
    }));

  test('a pool replaces an idle process that dies, and warns', () =>
    withPool(new ProcessPoolExecutor({ maxWorkers: 1 }), async (pool) => {
      const pid = await pool.submit(() => process.pid, []);
      const warned = brokenWarning();
      process.kill(pid, 'SIGKILL');
      const warning = await warned;
      assert.match(warning.message, /was killed by SIGKILL$/);
      assert.equal(await pool.submit(jobs.fib, [5]), 5);
    }));
});

describe('a worker process', () => {
  test('a worker process that is killed fails its job with the signal', () =>
    withPool(kinds[1]!.make({ maxWorkers: 1 }), async (pool) => {
      await assert.rejects(
        pool.submit(() => {
          process.kill(process.pid, 'SIGKILL');
        }, []),
        { name: 'BrokenExecutorError', message: /^the worker process that ran .* was killed by SIGKILL$/ },
      );
      assert.equal(await pool.submit(jobs.fib, [5]), 5);
    }));

  test('a worker process that ignores SIGTERM is killed', () =>
    withPool(kinds[1]!.make({ maxWorkers: 1, gracePeriod: 0.05 }), async (pool) => {
      const controller = new AbortController();
      let tell = (_: unknown): void => {};
      const begun = new Promise((resolve) => {
        tell = resolve;
      });
      const { signal } = controller;
      const job = pool.submit(ignoringSigterm, [], { signal, onProgress: tell });
      await begun;
      controller.abort();
      await assert.rejects(job, { name: 'CancelledError' });
      assert.equal(await pool.submit(jobs.fib, [5]), 5);
    }));

  test('a worker process gets several short jobs in one message', () =>
    withPool(kinds[1]!.make({ maxWorkers: 1 }), async (pool) => {
      const count = 400;
      const results = await Promise.all(Array.from({ length: count }, () => pool.submit(countMessages, [])));
      const messages = results.at(-1) as number;
      assert.equal(messages < count / 2, true, `${messages} messages`);
    }));

  test('inheritedOptions() keeps the options of the runtime, and drops the program of the parent', () => {
    assert.deepEqual(inheritedOptions([], ''), []);
    const given = ['--expose-gc', '--import', 'tsx', '-e', 'code', '--input-type=module', '--test'];
    assert.deepEqual(inheritedOptions(given, ''), ['--expose-gc', '--import', 'tsx']);
    assert.deepEqual(inheritedOptions(['--eval=code', '-p', 'code', '-r', './x.cjs'], ''), ['-r', './x.cjs']);
  });

  test('inheritedOptions() gives a worker a port of its own for a debugger, which it does not wait for', () => {
    for (const option of ['--inspect', '--inspect-brk', '--inspect-wait']) {
      assert.deepEqual(inheritedOptions([option], ''), ['--inspect', '--inspect-port=0']);
      assert.deepEqual(inheritedOptions([], `--no-warnings ${option}=9229`), ['--inspect-port=0']);
    }
    const host = '--inspect=[::1]:9229';
    assert.deepEqual(inheritedOptions([host, '--inspect-publish-uid=http'], ''), [
      host,
      '--inspect-publish-uid=http',
      '--inspect-port=0',
    ]);
    assert.deepEqual(inheritedOptions(['--inspect-port=9230'], '--inspect-port=9231'), [
      '--inspect-port=9230',
    ]);
  });
});

/** Returns the number of messages that this worker has received since the first call. */
function countMessages(): number {
  const counter = globalThis as { messages?: number };
  if (counter.messages === undefined) {
    counter.messages = 0;
    process.on('message', () => {
      counter.messages = (counter.messages as number) + 1;
    });
  }
  return counter.messages;
}

function ignoringSigterm(): void {
  process.on('SIGTERM', () => {});
  currentJob()?.reportProgress('begun');
  for (;;);
}

/** Returns the next warning of a pool. Node may warn of experimental features in between. */
async function brokenWarning(): Promise<Error> {
  // An idle worker does not keep the process alive; this port does.
  const { port1: alive } = new MessageChannel();
  alive.ref();
  for await (const [warning] of on(process, 'warning') as AsyncIterable<[Error]>) {
    if (warning.name !== 'BrokenExecutorError') continue;
    alive.close();
    return warning;
  }
  throw new Error('unreachable');
}
