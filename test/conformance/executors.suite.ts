import assert from 'node:assert/strict';
import { threadId } from 'node:worker_threads';
import type { Executor } from '../../src/index.ts';
import {
  CancelledError,
  connectRemote,
  currentTask,
  getRunningLoop,
  ProcessPoolExecutor,
  sleep,
  ThreadPoolExecutor,
} from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

/** Returns the id of the worker that runs this. */
const whoAmI = async (): Promise<[pid: number, threadId: number]> => [
  process.pid,
  (await import('node:worker_threads')).threadId,
];
const here = (): [pid: number, threadId: number] => [process.pid, threadId];
const add = (a: number, b: number): number => a + b;

/** Runs nothing, but records its calls. */
function fake(): { executor: Executor; asked: unknown[] } {
  const asked: unknown[] = [];
  const executor: Executor = {
    submit: async (_fn, args) => {
      asked.push(args);
      return 'answered' as never;
    },
    shutdown: async (options) => {
      asked.push(options);
    },
  };
  return { executor, asked };
}

export function executorsSuite(target: Target): void {
  section(
    'Executor',
    target,
    (test) => {
      test('run_in_executor() calls a function with its arguments in a thread, and returns a future with the result', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const future = loop.runInExecutor(null, add, 2, 3);
          assert.equal(future.getLoop(), loop);
          assert.equal(future.done(), false);
          assert.equal(await future, 5);
          const [pid, thread] = await loop.runInExecutor(null, whoAmI);
          assert.equal(pid, here()[0]);
          assert.notEqual(thread, here()[1]);
        }));

      test('run_in_executor() uses the given executor, with threads or processes', ({ loop }) =>
        loop.runUntilComplete(async () => {
          await using threads = new ThreadPoolExecutor({ maxWorkers: 1 });
          await using processes = new ProcessPoolExecutor({ maxWorkers: 1 });
          assert.equal((await loop.runInExecutor(threads, whoAmI))[0], process.pid);
          assert.notEqual((await loop.runInExecutor(processes, whoAmI))[0], process.pid);
          const { executor, asked } = fake();
          assert.equal(await loop.runInExecutor(executor, add, 2, 3), 'answered');
          assert.deepEqual(asked, [[2, 3]]);
        }));

      test('run_in_executor() fails with the exception of the function', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const future = loop.runInExecutor(null, () => {
            throw Object.assign(new RangeError('of the function'), { code: 'E_OWN' });
          });
          await assert.rejects(future, { name: 'RangeError', message: 'of the function', code: 'E_OWN' });
        }));

      test('run_in_executor() can be cancelled: the caller continues, and a function that has not begun never runs', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
          const busy = loop.runInExecutor(pool, add, 1, 2);
          const exit = (): never => process.exit(3);
          const waiting = loop.runInExecutor(pool, exit);
          waiting.cancel();
          await assert.rejects(waiting, CancelledError);
          assert.equal(await busy, 3);
          assert.equal(await loop.runInExecutor(pool, add, 2, 2), 4);
        }));

      test('run_in_executor() checks the function at the call', ({ loop }) => {
        for (const wrong of [null, 5, 'add', {}]) {
          assert.throws(() => void loop.runInExecutor(null, wrong as unknown as () => void), {
            name: 'TypeError',
            code: 'ERR_INVALID_ARG_TYPE',
          });
        }
      });

      test('set_default_executor() sets the executor of run_in_executor(None)', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const { executor, asked } = fake();
          loop.setDefaultExecutor(executor);
          assert.equal(await loop.runInExecutor(null, add, 4, 5), 'answered');
          assert.deepEqual(asked, [[4, 5]]);
          for (const wrong of [null, undefined, 5, {}]) {
            assert.throws(() => loop.setDefaultExecutor(wrong as unknown as Executor), { name: 'TypeError' });
          }
          await loop.shutdownDefaultExecutor();
        }));

      test('shutdown_default_executor() waits for running functions, and run_in_executor(None) fails afterwards', ({
        loop,
      }) =>
        loop.runUntilComplete(async () => {
          const future = loop.runInExecutor(null, add, 2, 3);
          await loop.shutdownDefaultExecutor();
          assert.equal(await future, 5);
          assert.throws(() => void loop.runInExecutor(null, add, 2, 3), { code: 'ERR_BROKEN_EXECUTOR' });
        }));

      test('close() shuts the default executor down and does not wait', async ({ makeLoop }) => {
        const loop = makeLoop();
        const { executor, asked } = fake();
        loop.setDefaultExecutor(executor);
        loop.close();
        assert.deepEqual(asked, [{ wait: false, cancelPending: true }]);
        assert.throws(() => void loop.runInExecutor(executor, add, 2, 3), { code: 'ERR_LOOP_CLOSED' });
      });

      test('call_soon_threadsafe() from a worker thread calls in order, and wakes the loop', ({ loop }) =>
        loop.runUntilComplete(async () => {
          const seen: number[] = [];
          const done = loop.createFuture<void>();
          const handlers = {
            note: (n: number) => {
              assert.equal(getRunningLoop(), loop);
              assert.equal(currentTask(), null);
              if (seen.push(n) === 100) done.setResult();
            },
          };
          const port = loop.remote(handlers);
          // The same as connectRemote() in a thread that can load this library.
          const call = async (p: typeof port): Promise<void> => {
            const { receiveMessageOnPort } = await import('node:worker_threads');
            receiveMessageOnPort(p);
            for (let n = 0; n < 100; n++) p.postMessage(['note', [n]]);
            p.close();
          };
          await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
          void loop.runInExecutor(pool.withOptions({ transfer: [port] }), call, port);
          await done;
          assert.deepEqual(
            seen,
            Array.from({ length: 100 }, (_, n) => n),
          );
        }));

      test('call_soon_threadsafe() of a closed loop throws', async ({ makeLoop }) => {
        const loop = makeLoop();
        const remote = connectRemote(loop.remote({ note: () => {} }));
        await loop.runUntilComplete(() => sleep(0));
        loop.close();
        assert.throws(() => remote.callSoonThreadsafe('note'), { code: 'ERR_LOOP_CLOSED' });
      });
    },
    'executors',
  );
}
