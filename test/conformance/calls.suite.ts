import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { currentTask, getRunningLoop, sleep } from '../../src/index.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

function fail(error: Error): never {
  throw error;
}

/** Runs `body`, and returns the uncaught exceptions of the process meanwhile. No other code gets them. */
async function withoutUncaught(body: () => Promise<void>): Promise<unknown[]> {
  const uncaught: unknown[] = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  try {
    await body();
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  }
  return uncaught;
}

export function callsSuite(target: Target): void {
  section('Calls', target, (test) => {
    test('call_soon() calls back in the order in which callbacks were registered, each exactly once', async ({
      loop,
    }) => {
      const log: number[] = [];
      for (let i = 0; i < 10_000; i++) loop.callSoon((n: number) => log.push(n), i);
      loop.stop();
      await loop.runForever();
      assert.deepEqual(
        log,
        Array.from({ length: 10_000 }, (_, i) => i),
      );
      loop.stop();
      await loop.runForever();
      assert.equal(log.length, 10_000);
    });

    test('call_soon() passes any number of arguments to the callback', async ({ loop }) => {
      const log: unknown[][] = [];
      const say = (...args: unknown[]): void => {
        log.push(args);
      };
      loop.callSoon(say);
      loop.callSoon(say, undefined);
      loop.callSoon(say, 1, 'two', null);
      loop.callSoonThreadsafe(say, [1]);
      loop.stop();
      await loop.runForever();
      assert.deepEqual(log, [[], [undefined], [1, 'two', null], [[1]]]);
    });

    test('call_soon() never calls back before it returns, nor in the turn in which it was called', async ({
      loop,
    }) => {
      const log: string[] = [];
      loop.callSoon(() => {
        loop.callSoon(() => log.push('scheduled in the first'));
        log.push('first');
      });
      loop.callSoon(() => log.push('second'));
      assert.deepEqual(log, []);
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, ['first', 'second', 'scheduled in the first']);
    });

    test('call_soon() runs all code that a callback resumes before the next callback of the turn', async ({
      loop,
    }) => {
      const log: string[] = [];
      const future = loop.createFuture();
      const task = loop.createTask(async () => {
        await future;
        log.push('resumed');
        await Promise.resolve();
        await Promise.resolve();
        log.push('still before the next callback');
      });
      await loop.runUntilComplete(() => sleep(0));
      loop.callSoon(() => future.setResult(null));
      loop.callSoon(() => {
        // Behind the wake-up of the task, which setResult() has put into the queue.
        loop.callSoon(() => {
          log.push('same turn as the wake-up');
          loop.callSoon(() => log.push('next turn'));
        });
      });
      await loop.runUntilComplete(task);
      await loop.runUntilComplete(() => sleep(0));
      assert.deepEqual(log, [
        'resumed',
        'still before the next callback',
        'same turn as the wake-up',
        'next turn',
      ]);
    });

    test('call_soon() runs the microtasks and ticks of a callback, and those that they add, before the next callback', async ({
      loop,
    }) => {
      const log: string[] = [];
      const bring = (name: string): void => {
        log.push(name);
        process.nextTick(() => {
          log.push(`tick of ${name}`);
          queueMicrotask(() => log.push(`microtask of the tick of ${name}`));
        });
        void Promise.resolve().then(() => {
          log.push(`microtask of ${name}`);
          process.nextTick(() => log.push(`tick of the microtask of ${name}`));
        });
      };
      loop.callSoon(bring, 'a');
      loop.callSoon(bring, 'b');
      await loop.runUntilComplete(() => sleep(0));
      assert.equal(log.length, 10);
      assert.deepEqual(
        log.map((line) => line.at(-1)),
        [...'aaaaabbbbb'],
      );
    });

    test('call_soon() runs two tasks that one callback wakes one after the other, each to its next await', async ({
      loop,
    }) => {
      const log: string[] = [];
      const future = loop.createFuture<string>();
      const worker = async (name: string): Promise<void> => {
        log.push(`${name} got ${await future}`);
        await Promise.resolve();
        await (async () => 1)();
        log.push(`${name} goes on`);
        await sleep(0);
        log.push(`${name} in the next turn`);
      };
      await loop.runUntilComplete(async () => {
        const tasks = ['a', 'b'].map((name) => loop.createTask(() => worker(name)));
        await sleep(0);
        loop.callSoon(() => future.setResult('it'));
        for (const task of tasks) await task;
      });
      assert.deepEqual(log, [
        'a got it',
        'a goes on',
        'b got it',
        'b goes on',
        'a in the next turn',
        'b in the next turn',
      ]);
    });

    test('call_soon() keeps the task and the async context of code that it resumes', async ({ loop }) => {
      const storage = new AsyncLocalStorage<string>();
      const log: unknown[] = [];
      const say = (): void => {
        log.push([storage.getStore(), currentTask()?.name]);
      };
      await loop.runUntilComplete(async () => {
        const task = storage.run('store', () =>
          loop.createTask(
            async () => {
              say();
              await sleep(0);
              say();
              await Promise.resolve();
              say();
            },
            { name: 'inner' },
          ),
        );
        loop.callSoon(say);
        await task;
        loop.callSoon(say);
        await sleep(0);
      });
      const inner = ['store', 'inner'];
      const outside = [undefined, undefined];
      assert.deepEqual(log, [inner, outside, inner, inner, outside]);
    });

    test('call_soon() runs every callback although a tick throws an uncaught exception of the process', async ({
      loop,
      reports,
    }) => {
      const bug = new Error('bug of a tick');
      const storage = new AsyncLocalStorage<string>();
      const log: unknown[] = [];
      const uncaught = await withoutUncaught(async () => {
        storage.run('store', () => loop.callSoon(() => process.nextTick(fail, bug)));
        loop.callSoon(() => log.push('next', storage.getStore()));
        loop.callSoon(async () => {
          await Promise.resolve();
          log.push('resumed');
        });
        await loop.runUntilComplete(() => sleep(0));
        await loop.runUntilComplete(() => sleep(0));
      });
      assert.deepEqual(uncaught, [bug]);
      assert.deepEqual(log, ['next', undefined, 'resumed']);
      assert.deepEqual(reports.take(), []);
    });

    test('call_soon() lets a callback start another loop, which runs between the turns of the first one', async ({
      loop,
      makeLoop,
    }) => {
      const other = makeLoop();
      const log: string[] = [];
      const ended = loop.createFuture<void>();
      loop.callSoon(() => {
        void other
          .runUntilComplete(async () => {
            log.push('other began');
            await sleep(0);
            log.push('other ended');
          })
          .then(() => {
            other.close();
            loop.callSoonThreadsafe(() => ended.setResult());
          });
        log.push('started it');
      });
      await loop.runUntilComplete(ended);
      assert.deepEqual(log, ['started it', 'other began', 'other ended']);
      assert.equal(other.isClosed(), true);
    });

    test('call_soon() returns a handle, and a cancelled handle is never called', async ({ loop }) => {
      const log: string[] = [];
      const handle = loop.callSoon(() => log.push('never'));
      const other = loop.callSoon(() => log.push('called'));
      assert.equal(handle.cancelled(), false);
      handle.cancel();
      handle.cancel();
      loop.stop();
      await loop.runForever();
      other.cancel();
      assert.deepEqual(log, ['called']);
      assert.equal(handle.cancelled(), true);
    });

    test('call_soon() calls back without a `this`, and as code of the loop', async ({ loop }) => {
      const seen: unknown[] = [];
      loop.callSoon(function (this: unknown) {
        seen.push(this, getRunningLoop() === loop);
      });
      loop.stop();
      await loop.runForever();
      assert.deepEqual(seen, [undefined, true]);
    });

    test('call_soon_threadsafe() wakes a loop that is idle, from code of the host', async ({ loop }) => {
      const log: string[] = [];
      const running = loop.runForever();
      setImmediate(() =>
        setImmediate(() => {
          loop.callSoonThreadsafe((word: string) => {
            log.push(word);
            loop.stop();
          }, 'woken');
        }),
      );
      await running;
      assert.deepEqual(log, ['woken']);
    });

    test('call_soon_threadsafe() keeps its order among the callbacks of call_soon()', async ({ loop }) => {
      const log: number[] = [];
      loop.callSoon(() => log.push(1));
      loop.callSoonThreadsafe(() => log.push(2));
      loop.callSoon(() => log.push(3));
      loop.callSoonThreadsafe(() => log.push(4)).cancel();
      loop.stop();
      await loop.runForever();
      assert.deepEqual(log, [1, 2, 3]);
    });
  });
}
