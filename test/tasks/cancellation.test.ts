import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BaseEventLoop, Future, Task } from '../../src/index.ts';
import {
  ALL_COMPLETED,
  asCompleted,
  CancelledError,
  currentTask,
  ensureFuture,
  gather,
  shield,
  sleep,
  taskGroup,
  timeout,
  wait,
  waitFor,
} from '../../src/index.ts';
import { operation } from '../../src/tasks/operation.ts';
import { simulate, turns } from '../helpers/simulation.ts';
import { outcome, unexpected, waitersOf } from './helpers.ts';

/** Returns a native promise, and the function that fulfils it. */
function native<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = unexpected;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const self = (): Task => currentTask() as Task;

test('task.cancel() makes the task’s pending await throw', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(async () => {
      log.push('before');
      try {
        await sleep(100);
        log.push('not reached');
      } catch (error) {
        log.push((error as Error).name, (error as Error).message);
        throw error;
      } finally {
        log.push('finally');
      }
    });
    await sleep(1);
    assert.equal(task.cancel('that will do'), true);
    assert.equal(task.cancelling(), 1);
    assert.equal(task.done(), false);
    assert.equal(await outcome(task), 'CancelledError');
    assert.equal(task.cancelled(), true);
    assert.throws(() => task.result(), { name: 'CancelledError', message: 'that will do' });
    assert.throws(() => task.exception(), { name: 'CancelledError' });
    assert.deepEqual(log, ['before', 'CancelledError', 'that will do', 'finally']);
    assert.equal(loop.time(), 1);
    assert.equal(task.cancel(), false);
  }));

test('task.cancel() reaches an await deep in nested helpers', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const nested = async (depth: number): Promise<void> => {
      try {
        if (depth === 0) await sleep(100);
        else await nested(depth - 1);
      } finally {
        log.push(`left ${depth}`);
      }
    };
    const task = loop.createTask(() => nested(3));
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['left 0', 'left 1', 'left 2', 'left 3']);
  }));

test('a finally block of a cancelled task may await, and can itself be cancelled', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const body = async (): Promise<void> => {
      try {
        await sleep(100);
      } finally {
        await sleep(5);
        log.push(`cleaned up at ${loop.time()}`);
      }
    };
    const once = loop.createTask(body);
    const twice = loop.createTask(body);
    await sleep(1);
    once.cancel();
    twice.cancel();
    await sleep(1);
    twice.cancel();
    assert.equal(await outcome(once), 'CancelledError');
    assert.equal(await outcome(twice), 'CancelledError');
    assert.equal(twice.cancelling(), 2);
    assert.deepEqual(log, ['cleaned up at 6']);
  }));

test('a task that catches the CancelledError continues, and its later awaits wait', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      await sleep(100).catch(() => {});
      await sleep(10);
      return 'went on';
    });
    await sleep(1);
    task.cancel();
    assert.equal(await task, 'went on');
    assert.equal(loop.time(), 11);
    assert.equal(task.cancelled(), false);
    assert.equal(task.cancelling(), 1);
  }));

test('a cancelled task that throws another error has failed, and is not cancelled', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      await sleep(100).catch(() => {
        throw new Error('instead');
      });
    });
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'error instead');
    assert.equal(task.cancelled(), false);
  }));

test('a task that is cancelled before its first turn never starts', () =>
  simulate(async (loop) => {
    const task = loop.createTask(() => assert.fail('started'));
    assert.equal(task.cancel('no need'), true);
    assert.equal(task.done(), false);
    await assert.rejects(task, { name: 'CancelledError', message: 'no need' });
  }));

test('an eager task that is cancelled gets the error at its first await', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(
      async () => {
        log.push('started');
        await sleep(100);
        log.push('not reached');
      },
      { eager: true },
    );
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['started']);
    assert.equal(loop.time(), 0);
  }));

test('a cancelled task that awaits a native promise gets the error at its next await of a future, and is reported after a second', () =>
  simulate(async (loop, reports) => {
    const { promise, resolve } = native<string>();
    const log: string[] = [];
    const task = loop.createTask(async () => {
      log.push(await promise);
      await sleep(100);
      log.push('not reached');
    });
    await sleep(1);
    task.cancel();
    await sleep(10);
    assert.equal(task.done(), false);
    assert.match(
      reports.takeMessages().join(),
      /^task Task-\d+ was cancelled 1 second ago, and has not ended: it awaits/,
    );
    resolve('native');
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['native']);
    assert.equal(loop.time(), 11);
  }));

test('a cancelled task that ends without another await counts as cancelled', () =>
  simulate(async (loop) => {
    const { promise, resolve } = native<string>();
    const task = loop.createTask(() => promise);
    await sleep(1);
    task.cancel();
    resolve('too late');
    assert.equal(await outcome(task), 'CancelledError');
    assert.equal(task.cancelled(), true);
  }));

test('ensureFuture makes the await of a native promise cancellable', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      await ensureFuture(new Promise(() => {}));
    });
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
  }));

test('a task that cancels itself gets the error at its next await', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(async () => {
      self().cancel();
      log.push('goes on');
      await Promise.resolve();
      log.push('still');
      await sleep(0);
      log.push('not reached');
    });
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['goes on', 'still']);
  }));

test('a cancel after a future completes and before the wake-up is thrown at that await, as in asyncio', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<string>();
    const task = loop.createTask(async () => {
      await future;
      assert.fail('woken with a result');
    });
    await sleep(1);
    future.setResult('done');
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.equal(future.result(), 'done');
  }));

test('two cancels before the wake-up throw once', () =>
  simulate(async (loop) => {
    const errors: string[] = [];
    const task = loop.createTask(async () => {
      for (let i = 0; i < 3; i++) await sleep(10).catch((error: Error) => errors.push(error.message));
    });
    await sleep(1);
    task.cancel('first');
    task.cancel('second');
    await task;
    assert.deepEqual(errors, ['first']);
    assert.equal(task.cancelling(), 2);
    assert.equal(loop.time(), 21);
  }));

test('uncancel() takes requests back one by one, and never below zero', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      await sleep(100).catch(() => {});
      assert.equal(self().cancelling(), 2);
      assert.equal(self().uncancel(), 1);
      assert.equal(self().uncancel(), 0);
      assert.equal(self().uncancel(), 0);
      await sleep(1);
    });
    await sleep(1);
    task.cancel();
    task.cancel();
    await task;
    assert.equal(task.cancelled(), false);
  }));

test('uncancel() to zero before the error was thrown takes the cancel back', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      self().cancel();
      self().uncancel();
      await sleep(1);
      return 'went on';
    });
    assert.equal(await task, 'went on');
  }));

test('a cancel of a task reaches all futures of a Promise.all', () =>
  simulate(async (loop) => {
    const futures = [loop.createFuture(), loop.createFuture(), loop.createFuture()];
    const task = loop.createTask(() => Promise.all(futures));
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    for (const future of futures) assert.equal(future.cancelled(), true);
  }));

test('a cancel of a task reaches the awaits of two helpers that run side by side', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const helper = async (name: string): Promise<void> => {
      try {
        await sleep(100);
      } finally {
        log.push(name);
      }
    };
    const task = loop.createTask(() => Promise.allSettled([helper('a'), helper('b')]));
    await sleep(1);
    task.cancel();
    const [a, b] = await task;
    assert.deepEqual([a.status, b.status], ['rejected', 'rejected']);
    assert.deepEqual(log, ['a', 'b']);
  }));

test('a cancel of a task that awaits a done and a pending future reaches the pending one', () =>
  simulate(async (loop) => {
    const [done, pending] = [loop.createFuture<string>(), loop.createFuture<string>()];
    const task = loop.createTask(() => Promise.all([outcome(done), outcome(pending)]));
    await sleep(1);
    done.setResult('done');
    task.cancel();
    assert.deepEqual(await task, ['result done', 'CancelledError']);
  }));

test('a helper that its task does not await is cancelled with the task', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(async () => {
      void outcome(sleep(50)).then((how) => log.push(how));
      await sleep(100);
    });
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['CancelledError']);
  }));

test('a helper that outlives its task continues undisturbed', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(async () => {
      void (async () => {
        await sleep(1);
        log.push(await sleep(1, 'helper ended'));
      })();
    });
    await task;
    assert.equal(task.cancel(), false);
    await sleep(3);
    assert.deepEqual(log, ['helper ended']);
  }));

test('cancelling a task that awaits another task cancels that one, too', () =>
  simulate(async (loop) => {
    const inner = loop.createTask(() => sleep(100));
    const outer = loop.createTask(async () => {
      await inner;
    });
    await sleep(1);
    outer.cancel();
    assert.equal(await outcome(outer), 'CancelledError');
    assert.equal(inner.cancelled(), true);
    assert.equal(outer.cancelled(), true);
  }));

test('a task gets the result of an awaited task that caught the cancel', () =>
  simulate(async (loop) => {
    const inner = loop.createTask(async () => outcome(sleep(100)));
    const outer = loop.createTask(async () => `inner gave ${await inner}`);
    await sleep(1);
    outer.cancel();
    assert.equal(await outer, 'inner gave CancelledError');
    assert.equal(outer.cancelling(), 1);
    assert.equal(inner.cancelling(), 1);
  }));

test('a cancelled task that awaits another task waits until that one has cleaned up', () =>
  simulate(async (loop) => {
    const inner = loop.createTask(async () => {
      try {
        await sleep(100);
      } finally {
        await sleep(7);
      }
    });
    const outer = loop.createTask(async () => {
      await inner;
    });
    await sleep(1);
    outer.cancel();
    assert.equal(await outcome(outer), 'CancelledError');
    assert.equal(loop.time(), 8);
  }));

test('two tasks that wait for each other can be cancelled', () =>
  simulate(async (loop) => {
    const tasks: Task[] = [];
    for (const other of [1, 0]) tasks.push(loop.createTask(async () => tasks[other] as Task));
    await sleep(1);
    assert.equal(tasks[0]?.cancel('enough'), true);
    for (const task of tasks) assert.equal(await outcome(task), 'CancelledError');
    for (const task of tasks) assert.equal(waitersOf(task), 0);
  }));

test('a task that throws a CancelledError by itself ends as cancelled', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      throw new CancelledError('by itself');
    });
    await assert.rejects(task, { message: 'by itself' });
    assert.equal(task.cancelled(), true);
    assert.equal(task.cancelling(), 0);
  }));

test('task.signal aborts at the cancel, with the CancelledError as its reason', () =>
  simulate(async (loop) => {
    const { promise, resolve } = native<void>();
    let signal: AbortSignal | undefined;
    const task = loop.createTask(async () => {
      signal = self().signal;
      assert.equal(self().signal, signal);
      await promise;
      await sleep(1);
    });
    await sleep(1);
    assert.equal(signal?.aborted, false);
    task.cancel('why not');
    assert.equal(signal?.aborted, true);
    assert.ok(signal?.reason instanceof CancelledError);
    assert.equal(signal.reason.message, 'why not');
    resolve();
    assert.equal(await outcome(task), 'CancelledError');
  }));

test('task.signal is aborted when first read after the cancel, and fresh after the cancel was taken back', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      await sleep(100).catch(() => {});
      const { signal } = self();
      assert.equal(signal.aborted, true);
      self().uncancel();
      assert.equal(self().signal.aborted, false);
      assert.notEqual(self().signal, signal);
    });
    await sleep(1);
    task.cancel();
    await task;
  }));

test('the CancelledError of an aborted operation has its cause when another task awaits it', () =>
  simulate(async (loop) => {
    const controller = new AbortController();
    const task = loop.createTask(() => sleep(100, null, { signal: controller.signal }));
    await sleep(1);
    controller.abort('closing time');
    await assert.rejects(task, { name: 'CancelledError', cause: 'closing time' });
    assert.equal(task.cancelling(), 0);
  }));

/** Programs that wait in every way there is. Each await takes 1 second at most. */
const waits: Record<string, (loop: BaseEventLoop) => PromiseLike<unknown>> = {
  sleep: () => sleep(1),
  'sleep(0)': () => sleep(0),
  future: (loop) => {
    const future = loop.createFuture();
    loop.callLater(1, () => future.done() || future.setResult(null));
    return future;
  },
  task: (loop) => loop.createTask(() => sleep(1)),
  'eager task': (loop) => loop.createTask(() => sleep(1), { eager: true }),
  gather: () => gather(sleep(1), sleep(0.5)),
  'gather with returnExceptions': () => gather({ returnExceptions: true }, sleep(1), sleep(0)),
  wait: () => wait([sleep(1), sleep(0.5)], { returnWhen: ALL_COMPLETED }),
  'wait with a timeout': () => wait([sleep(100)], { timeout: 1 }),
  waitFor: () => waitFor(sleep(1), 5),
  'waitFor whose time is over': () => waitFor(sleep(100), 1).catch(letCancelPass),
  'waitFor without time': () => waitFor(sleep(100), 0).catch(letCancelPass),
  shield: () => shield(sleep(1)),
  asCompleted: async () => {
    for await (const nap of asCompleted([sleep(1), sleep(0.5)])) await nap;
  },
  timeout: () => timeout(5, () => sleep(1)),
  'timeout whose time is over': () => timeout(1, () => sleep(100)).catch(letCancelPass),
  'nested timeouts': () => timeout(5, () => timeout(1, () => sleep(100))).catch(letCancelPass),
  taskGroup: () =>
    taskGroup(async (group) => {
      group.createTask(() => sleep(1));
      group.createTask(() => sleep(0.5), { eager: true });
      await sleep(0.25);
    }),
  'taskGroup that ends early': () =>
    taskGroup(async (group) => {
      group.createTask(async () => {
        await sleep(1);
        group.cancel();
      });
      await sleep(100);
    }),
  'Promise.all': () => Promise.all([sleep(1), sleep(0.5), Promise.resolve()]),
  'a helper': async () => {
    await sleep(0.5);
    await Promise.resolve();
    await sleep(0.5);
  },
};

function letCancelPass(error: unknown): void {
  if (error instanceof CancelledError) throw error;
}

for (const [name, start] of Object.entries(waits)) {
  test(`a task that awaits ${name} can be cancelled at any moment, exactly once, and nothing is left behind`, async () => {
    for (let moment = 0, over = false; !over; moment++) {
      await simulate(async (loop) => {
        let caught = 0;
        let cleanedUp = false;
        const task = loop.createTask(async () => {
          try {
            for (let i = 0; i < 2; i++) await start(loop);
          } catch (error) {
            assert.ok(error instanceof CancelledError, String(error));
            caught++;
            throw error;
          } finally {
            await sleep(0.01);
            cleanedUp = true;
          }
          return 'ended';
        });
        // Runs as many turns of the program as this round says. Time moves when nothing else is ready.
        for (let turn = 0; turn <= moment && !task.done(); turn++) await sleep(turn % 3 === 2 ? 0.125 : 0);
        over = task.done();
        const accepted = task.cancel();
        assert.equal(accepted, !over);
        const how = await outcome(task);
        assert.equal(how, over ? 'result ended' : 'CancelledError', `moment ${moment}`);
        // The cancel came in the finally block, so the second await threw.
        if (!over && cleanedUp) assert.equal(caught, 1);
        await sleep(200);
        await turns(3);
        assert.equal(loop._scheduler.timers.size, 0);
      });
      assert.ok(moment < 500);
    }
  });
}

test('an operation with a result keeps it, and a cancel that comes too late is thrown at the next await', () =>
  simulate(async (loop) => {
    for (let microtasks = 0; microtasks < 12; microtasks++) {
      const acquired: Future<string> = loop.createFuture();
      const got: string[] = [];
      const task = loop.createTask(async () => {
        got.push(await waitFor(shieldless(loop, acquired), 100));
        await sleep(10);
        got.push('not reached');
      });
      await sleep(1);
      // Delivers at once, as a connect or Lock.acquire() does: from here on the result must not be lost.
      loop.callSoon(() => acquired._deliver('result', 'resource'));
      loop.callSoon(async () => {
        for (let i = 0; i < microtasks; i++) await Promise.resolve();
        task.cancel();
      });
      assert.equal(await outcome(task), 'CancelledError');
      assert.deepEqual(got, ['resource'], `a cancel ${microtasks} microtasks later lost the result`);
      assert.equal(task.cancelling(), 1);
    }
  }));

test('a task that returns the result of an operation keeps it, although a cancel came before the operation ended', () =>
  simulate(async (loop) => {
    const task: Task<string> = loop.createTask(async () => {
      return await operation(loop, 'acquire', async () => {
        await sleep(1);
        task.cancel();
        return 'resource';
      });
    });
    assert.equal(await outcome(task), 'result resource');
    assert.equal(task.cancelling(), 1);
  }));

test('an operation that failed keeps its failure, and a cancel that comes too late is thrown at the next await', () =>
  simulate(async (loop) => {
    for (let microtasks = 0; microtasks < 12; microtasks++) {
      const acquired: Future<string> = loop.createFuture();
      const got: string[] = [];
      const task = loop.createTask(async () => {
        got.push(await outcome(waitFor(shieldless(loop, acquired), 100)));
        await sleep(10);
        got.push('not reached');
      });
      await sleep(1);
      loop.callSoon(() => {
        acquired._watchRetrieval(null);
        acquired._deliver('exception', new Error('refused'));
      });
      loop.callSoon(async () => {
        for (let i = 0; i < microtasks; i++) await Promise.resolve();
        task.cancel();
      });
      assert.equal(await outcome(task), 'CancelledError');
      assert.deepEqual(got, ['error refused']);
    }
  }));

/** An operation of three awaits. The last one returns the acquired object. */
function shieldless(loop: BaseEventLoop, acquired: Future<string>): Future<string> {
  return operation(loop, 'acquire', async () => {
    await sleep(0);
    await Promise.resolve();
    return await acquired;
  });
}
