import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { Executor, ShutdownOptions, SubmitOptions } from '../../src/index.ts';
import {
  CancelledError,
  currentTask,
  gather,
  getRunningLoop,
  NodeEventLoop,
  ProcessPoolExecutor,
  sleep,
  ThreadPoolExecutor,
  taskGroup,
  toThread,
  waitFor,
} from '../../src/index.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { onNode } from '../helpers/pairs.ts';
import { jobs, kinds, withPool } from './pools.ts';

/** An executor that does nothing by itself: the test settles its jobs. */
class FakeExecutor implements Executor {
  readonly submitted: { fn: unknown; args: unknown; signal: AbortSignal | undefined }[] = [];
  readonly shutdowns: (ShutdownOptions | undefined)[] = [];
  answer: Promise<unknown> = new Promise(() => {});

  submit<F extends (...args: never[]) => unknown>(
    fn: F,
    args: Parameters<F>,
    options?: SubmitOptions,
  ): Promise<Awaited<ReturnType<F>>> {
    this.submitted.push({ fn, args, signal: options?.signal });
    return this.answer as Promise<Awaited<ReturnType<F>>>;
  }

  async shutdown(options?: ShutdownOptions): Promise<void> {
    this.shutdowns.push(options);
  }
}

const add = (a: number, b: number): number => a + b;

describe('loop.runInExecutor()', () => {
  test(
    'loop.runInExecutor() calls a function with its arguments and returns its result, while the loop continues',
    onNode(async (loop) => {
      await withPool(new ThreadPoolExecutor({ maxWorkers: 1 }), async (pool) => {
        const future = loop.runInExecutor(pool, add, 2, 3);
        assert.equal(future.getLoop(), loop);
        let turns = 0;
        const counting = loop.createTask(async () => {
          while (!future.done()) {
            turns++;
            await sleep(0);
          }
        });
        assert.equal(await future, 5);
        await counting;
        assert.equal(turns > 0, true);
      });
    }),
  );

  test(
    'loop.runInExecutor() delivers its result in a turn of the loop',
    onNode(async (loop) => {
      const executor = new FakeExecutor();
      executor.answer = Promise.resolve('now');
      const future = loop.runInExecutor(executor, add, 1, 2);
      await Promise.resolve();
      await Promise.resolve();
      assert.equal(future.done(), false);
      await sleep(0);
      assert.equal(future.done(), true);
      assert.equal(future.result(), 'now');
    }),
  );

  test(
    'loop.runInExecutor() accepts any object with submit() and shutdown(), whose signal aborts with the future',
    onNode(async (loop) => {
      const executor = new FakeExecutor();
      const future = loop.runInExecutor(executor, add, 1, 2);
      const [job] = executor.submitted;
      assert.deepEqual([job?.fn, job?.args], [add, [1, 2]]);
      assert.equal(job?.signal?.aborted, false);
      future.cancel('enough');
      assert.equal(job?.signal?.aborted, true);
      assert.equal((job?.signal?.reason as Error | undefined)?.message, 'enough');
      await assert.rejects(future, { name: 'CancelledError', message: 'enough' });
    }),
  );

  test(
    'loop.runInExecutor() throws the error of submit() at the call, and leaves nothing behind',
    onNode(async (loop) => {
      const executor = new FakeExecutor();
      executor.submit = () => {
        throw new RangeError('full');
      };
      assert.throws(() => void loop.runInExecutor(executor, add, 1, 2), {
        name: 'RangeError',
        message: 'full',
      });
    }),
  );

  test(
    'loop.runInExecutor() is cancelled by a rejection with a CancelledError, and fails by any other',
    onNode(async (loop) => {
      const executor = new FakeExecutor();
      executor.answer = Promise.reject(new CancelledError('dropped'));
      const dropped = loop.runInExecutor(executor, add, 1, 2);
      await assert.rejects(dropped, { message: 'dropped' });
      assert.equal(dropped.cancelled(), true);
      executor.answer = Promise.reject(new RangeError('failed'));
      const failed = loop.runInExecutor(executor, add, 1, 2);
      await assert.rejects(failed, { message: 'failed' });
      assert.equal(failed.cancelled(), false);
    }),
  );

  test('loop.runInExecutor() reports an exception that was never awaited when the loop closes', async () => {
    const messages: string[] = [];
    const loop = new NodeEventLoop();
    loop.setExceptionHandler((_loop, { message }) => messages.push(message));
    const executor = new FakeExecutor();
    await loop.runUntilComplete(async () => {
      executor.answer = Promise.reject(new Error('lost'));
      void loop.runInExecutor(executor, add, 1, 2);
      await sleep(0);
      await sleep(0);
    });
    loop.close();
    assert.deepEqual(messages, ['the exception of a future was never retrieved']);
  });

  test('loop.runInExecutor() rejects wrong arguments at the call', () =>
    withLoop(
      () => new NodeEventLoop(),
      (loop) => {
        const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
        assert.throws(() => void loop.runInExecutor(null, 5 as unknown as () => void), typeError);
        for (const executor of [undefined, {}, 5, { submit() {} }, { shutdown() {} }]) {
          assert.throws(() => void loop.runInExecutor(executor as unknown as Executor, add, 1, 2), {
            ...typeError,
            message:
              /The "executor" argument must be an executor: an object with submit\(\) and shutdown\(\)/,
          });
          assert.throws(() => loop.setDefaultExecutor(executor as unknown as Executor), typeError);
        }
        assert.throws(() => loop.setDefaultExecutor(null as unknown as Executor), typeError);
        assert.throws(() => void loop.runInExecutor(null, Math.max, 1), typeError);
      },
    ));

  test(
    'task.cancel() and timeouts reach the job of loop.runInExecutor()',
    onNode(async (loop) => {
      await withPool(new ThreadPoolExecutor({ maxWorkers: 1, gracePeriod: 0 }), async (pool) => {
        await assert.rejects(waitFor(loop.runInExecutor(pool, jobs.spin), 0.01), { name: 'TimeoutError' });
        const task = loop.createTask(async () => {
          await loop.runInExecutor(pool, jobs.spin);
        });
        await sleep(0);
        task.cancel();
        await assert.rejects(task, CancelledError);
        await assert.rejects(
          taskGroup(async (group) => {
            group.createTask(async () => await loop.runInExecutor(pool, jobs.spin));
            group.createTask(async () => {
              throw new Error('the other one');
            });
          }),
          AggregateError,
        );
        assert.equal(await loop.runInExecutor(pool, jobs.fib, 5), 5);
      });
    }),
  );

  test('loop.close() cancels the future of runInExecutor(), reports the leak and ends the job', async () => {
    const messages: string[] = [];
    const loop = new NodeEventLoop();
    loop.setExceptionHandler((_loop, { message }) => messages.push(message));
    const executor = new FakeExecutor();
    const future = loop.runInExecutor(executor, add, 1, 2);
    loop.close();
    assert.equal(future.cancelled(), true);
    assert.equal(executor.submitted[0]?.signal?.aborted, true);
    assert.deepEqual(messages, [
      'the event loop was closed, but the call of add in an executor was still under way',
    ]);
    assert.throws(() => void loop.runInExecutor(executor, add, 1, 2), { code: 'ERR_LOOP_CLOSED' });
    assert.throws(() => loop.setDefaultExecutor(executor), { code: 'ERR_LOOP_CLOSED' });
    assert.throws(() => void loop.shutdownDefaultExecutor(), { code: 'ERR_LOOP_CLOSED' });
  });

  test('a stopped loop gets the result of runInExecutor() in its next run', async () => {
    await withLoop(
      () => new NodeEventLoop(),
      async (loop) => {
        const executor = new FakeExecutor();
        let answer = (_value: unknown): void => {};
        executor.answer = new Promise((resolve) => {
          answer = resolve;
        });
        const future = loop.runInExecutor(executor, add, 1, 2);
        await loop.runUntilComplete(() => sleep(0));
        answer(5);
        await executor.answer;
        assert.equal(future.done(), false);
        assert.equal(await loop.runUntilComplete(future), 5);
      },
    );
  });

  test('loop.shutdownDefaultExecutor() of a simulated loop does nothing', () =>
    withLoop(
      () => new SimulatedEventLoop(),
      async (loop) => {
        assert.equal(await loop.runUntilComplete(() => loop.shutdownDefaultExecutor()), undefined);
      },
    ));
});

describe('the default executor', () => {
  test(
    'the default executor is a pool of threads that is created on first use and reused',
    onNode(async (loop) => {
      const one = await loop.runInExecutor(null, jobs.whoAmI);
      assert.match(one, new RegExp(`^${process.pid}-[1-9]`));
      assert.equal(await toThread(jobs.whoAmI), one);
      assert.deepEqual(await gather(toThread(add, 1, 2), toThread(jobs.later, 'ab', 2)), [3, 'abab']);
    }),
  );

  test('the default executor ends with its loop, with idle and computing workers', async () => {
    const workers: Worker[] = [];
    const watch = (worker: Worker): unknown => workers.push(worker);
    process.on('worker', watch);
    const loop = new NodeEventLoop();
    loop.setExceptionHandler(() => {});
    await loop.runUntilComplete(async () => {
      await gather(toThread(jobs.later, 'a', 1), toThread(jobs.later, 'b', 1));
      void toThread(jobs.spin);
      await toThread(jobs.fib, 5);
    });
    process.off('worker', watch);
    assert.equal(workers.length, 2);
    const exits = workers.map((worker) => once(ref(worker), 'exit'));
    loop.close();
    await Promise.all(exits);
  });

  test(
    'setDefaultExecutor() replaces the default executor, and the threads of the previous one end',
    onNode(async (loop) => {
      const made = once(process, 'worker');
      assert.match(await toThread(jobs.whoAmI), new RegExp(`^${process.pid}-`));
      const [worker] = (await made) as [Worker];
      const ended = once(worker, 'exit');
      loop.setDefaultExecutor(new ProcessPoolExecutor({ maxWorkers: 1 }));
      assert.notEqual(await toThread(() => process.pid), process.pid);
      await ended;
      await loop.shutdownDefaultExecutor();
    }),
  );

  test(
    'shutdownDefaultExecutor() waits for the jobs, and setDefaultExecutor() fails afterwards',
    onNode(async (loop) => {
      const future = toThread(jobs.fib, 10);
      await loop.shutdownDefaultExecutor();
      assert.equal(await future, 55);
      const refused = {
        name: 'BrokenExecutorError',
        message: /default executor of this event loop was shut down/,
      };
      assert.throws(() => void toThread(add, 1, 2), refused);
      await loop.shutdownDefaultExecutor();
      loop.setDefaultExecutor(new FakeExecutor());
      assert.throws(() => void loop.runInExecutor(null, add, 1, 2), refused);
      await withPool(new ThreadPoolExecutor({ maxWorkers: 1 }), async (pool) => {
        assert.equal(await loop.runInExecutor(pool, add, 1, 2), 3);
      });
    }),
  );

  test(
    'shutdownDefaultExecutor() that is cancelled ends only its wait',
    onNode(async (loop) => {
      const executor = new FakeExecutor();
      executor.shutdown = () => new Promise(() => {});
      loop.setDefaultExecutor(executor);
      const down = loop.shutdownDefaultExecutor();
      down.cancel();
      await assert.rejects(down, CancelledError);
    }),
  );

  test('loop.close() shuts the default executor down without waiting, and reports its error', async () => {
    const messages: unknown[] = [];
    const failing: (() => Promise<void>)[] = [
      async () => {},
      () => Promise.reject(new Error('cannot')),
      () => {
        throw new Error('will not');
      },
    ];
    for (const shutdown of failing) {
      const loop = new NodeEventLoop();
      loop.setExceptionHandler((_loop, { exception }) => messages.push((exception as Error).message));
      const executor = new FakeExecutor();
      const given: unknown[] = [];
      executor.shutdown = (options) => {
        given.push(options);
        return shutdown();
      };
      loop.setDefaultExecutor(executor);
      loop.close();
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(given, [{ wait: false, cancelPending: true }]);
    }
    assert.deepEqual(messages, ['cannot', 'will not']);
  });

  test('toThread() needs a running loop', () => {
    assert.throws(() => getRunningLoop(), { code: 'ERR_NO_RUNNING_LOOP' });
    assert.throws(() => void toThread(add, 1, 2), { code: 'ERR_NO_RUNNING_LOOP' });
  });
});

for (const { kind, make } of kinds) {
  describe(`loop.runInExecutor() with a ${kind} pool`, () => {
    test(
      'a loop runs 500 calls in a pool, and cancels half of them',
      onNode((loop) =>
        withPool(make({ maxWorkers: 2 }), async (pool) => {
          const futures = Array.from({ length: 500 }, (_, n) => loop.runInExecutor(pool, jobs.fib, n % 10));
          for (const [n, future] of futures.entries()) if (n % 2 === 0) future.cancel();
          for (const [n, future] of futures.entries()) {
            if (n % 2 === 0) await assert.rejects(future, CancelledError);
            else assert.equal(typeof (await future), 'number');
          }
        }),
      ),
    );

    test(
      'future.cancel() of a job lets the caller continue at once',
      onNode(async (loop) => {
        await withPool(make({ maxWorkers: 1, gracePeriod: 0.05 }), async (pool) => {
          const reported = loop.createFuture<string>();
          const reporting = pool.withOptions({ onProgress: (value: string) => reported.setResult(value) });
          const future = loop.runInExecutor(reporting, jobs.spinForEver);
          assert.equal(await reported, 'begun');
          assert.equal(future.cancel('no more'), true);
          assert.equal(future.cancelled(), true);
          await assert.rejects(future, { name: 'CancelledError', message: 'no more' });
          assert.equal(await loop.runInExecutor(pool, jobs.fib, 5), 5);
        });
      }),
    );

    test(
      'progress runs as code of the loop, in the context of the caller',
      onNode(async (loop, reports) =>
        withPool(make({ maxWorkers: 1 }), async (pool) => {
          const storage = new AsyncLocalStorage<string>();
          const seen: unknown[] = [];
          const goOn = async (): Promise<void> => {
            await Promise.resolve();
            assert.equal(currentTask(), null);
            throw new Error('of the async listener');
          };
          const reporting = pool.withOptions({
            onProgress: (n: number) => {
              seen.push([n, storage.getStore(), getRunningLoop() === loop, currentTask()]);
              if (n === 2) throw new Error('of the listener');
              return n === 3 ? goOn() : undefined;
            },
          });
          const result = await storage.run('here', () => loop.runInExecutor(reporting, jobs.count, 3));
          assert.equal(result, 'counted to 3');
          assert.deepEqual(
            seen,
            [1, 2, 3].map((n) => [n, 'here', true, null]),
          );
          assert.deepEqual(
            reports.take().map(({ message, exception }) => [message, (exception as Error).message]),
            [
              ['exception in an onProgress callback', 'of the listener'],
              ['exception in an onProgress callback', 'of the async listener'],
            ],
          );
        }),
      ),
    );
  });
}

/** Lets the test wait for the worker's end. */
function ref(worker: Worker): EventEmitter {
  worker.ref();
  return worker;
}
