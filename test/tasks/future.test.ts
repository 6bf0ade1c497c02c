import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import {
  CancelledError,
  currentTask,
  ensureFuture,
  Future,
  gather,
  InvalidStateError,
  StreamReader,
  sleep,
} from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { withLoop } from '../helpers/loop-fixture.ts';
import { simulate, turns } from '../helpers/simulation.ts';
import { outcome } from './helpers.ts';

const invalidState = { name: 'InvalidStateError', code: 'ERR_INVALID_STATE' };

test('a new future is pending and has neither result nor exception', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<number>();
    assert.equal(future.done(), false);
    assert.equal(future.cancelled(), false);
    assert.equal(future.getLoop(), loop);
    assert.equal(Object.prototype.toString.call(future), '[object Future]');
    assert.throws(() => future.result(), invalidState);
    assert.throws(() => future.exception(), invalidState);
  }));

test('a future with a result returns it, and has no exception', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<number>();
    future.setResult(7);
    assert.equal(future.done(), true);
    assert.equal(future.cancelled(), false);
    assert.equal(future.result(), 7);
    assert.equal(future.exception(), null);
    assert.equal(await future, 7);
  }));

test('a future with an exception throws it from result() and from await', () =>
  simulate(async (loop) => {
    const error = new Error('no');
    const future = loop.createFuture();
    future.setException(error);
    assert.equal(future.done(), true);
    assert.equal(future.cancelled(), false);
    assert.equal(future.exception(), error);
    assert.throws(() => future.result(), error);
    await assert.rejects(future, error);
  }));

test('a cancelled future throws one CancelledError with the message of cancel()', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    assert.equal(future.cancel('not wanted'), true);
    assert.equal(future.done(), true);
    assert.equal(future.cancelled(), true);
    const cancelled = { name: 'CancelledError', code: 'ERR_CANCELLED', message: 'not wanted' };
    assert.throws(() => future.result(), cancelled);
    assert.throws(() => future.exception(), cancelled);
    await assert.rejects(future, cancelled);
    assert.equal(await future.catch((error) => error), await future.catch((error) => error));
  }));

test('a done future rejects a second result, and its cancel() returns false', () =>
  simulate(async (loop) => {
    const done = loop.createFuture<number>();
    done.setResult(1);
    assert.equal(done.cancel(), false);
    assert.equal(done.result(), 1);
    assert.throws(() => done.setResult(2), invalidState);
    assert.throws(() => done.setException(new Error('no')), InvalidStateError);
    const cancelled = loop.createFuture<number>();
    cancelled.cancel();
    assert.equal(cancelled.cancel(), false);
    assert.throws(() => cancelled.setResult(2), /the future is cancelled/);
  }));

test('a future names the argument that it rejects, and stays pending', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const wrong = { code: 'ERR_INVALID_ARG_TYPE' };
    for (const nothing of [undefined, null]) assert.throws(() => future.setException(nothing), wrong);
    assert.throws(() => future.cancel(5 as unknown as string), { ...wrong, message: /"message".*got 5/ });
    assert.throws(() => future.addDoneCallback('x' as never), { ...wrong, message: /"callback"/ });
    assert.throws(() => future.removeDoneCallback(null as never), wrong);
    assert.equal(future.done(), false);
  }));

test('a future wakes its waiters in the order of arrival', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<string>();
    const log: string[] = [];
    const wait = async (name: string): Promise<void> => {
      log.push(`${name} ${await future}`);
    };
    const tasks = ['a', 'b', 'c'].map((name) => loop.createTask(() => wait(name)));
    await sleep(0);
    future.setResult('go');
    for (const task of tasks) await task;
    assert.deepEqual(log, ['a go', 'b go', 'c go']);
  }));

test('the wake-up of a future’s waiter takes its place in the ready queue', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const log: string[] = [];
    const task = loop.createTask(async () => {
      await future;
      log.push('awake');
    });
    await sleep(0);
    loop.callSoon(() => log.push('before'));
    future.setResult(null);
    log.push('set');
    await Promise.resolve();
    log.push('microtask');
    await task;
    assert.deepEqual(log, ['set', 'microtask', 'before', 'awake']);
  }));

test('awaiting a done future costs no turn', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<number>();
    future.setResult(1);
    let turn = false;
    loop.callSoon(() => {
      turn = true;
    });
    assert.equal(await future, 1);
    assert.equal(turn, false);
  }));

test('two tasks that wake each other do not starve a timer', () =>
  simulate(async (loop) => {
    let over = false;
    let strokes = 0;
    const balls = [loop.createFuture<void>(), loop.createFuture<void>()] as const;
    const courts = [...balls];
    const play = async (me: 0 | 1): Promise<void> => {
      while (!over) {
        await courts[me];
        assert.ok(++strokes < 1000, 'the timer starved');
        courts[me] = loop.createFuture();
        courts[1 - me]?.setResult();
      }
    };
    const tasks = [loop.createTask(() => play(0)), loop.createTask(() => play(1))];
    loop.callLater(0, () => {
      over = true;
    });
    balls[0].setResult();
    await Promise.all(tasks);
  }));

test('a future calls its done callbacks by callSoon, with the future, in order, each once', () =>
  simulate(async (loop) => {
    const future = loop.createFuture<number>();
    const log: string[] = [];
    future.addDoneCallback((done) => log.push(`first ${done === future}`));
    future.addDoneCallback((done) => log.push(`second ${done.result()}`));
    future.setResult(3);
    assert.equal(log.length, 0);
    await sleep(0);
    assert.deepEqual(log, ['first true', 'second 3']);
    future.addDoneCallback(() => log.push('late'));
    assert.equal(log.length, 2);
    await sleep(0);
    assert.equal(log[2], 'late');
    await sleep(0);
    assert.equal(log.length, 3);
  }));

test('a done callback runs in the async context in which it was added, and in no task', () =>
  simulate(async (loop) => {
    const storage = new AsyncLocalStorage<string>();
    const future = loop.createFuture();
    const seen: unknown[] = [];
    storage.run('mine', () => future.addDoneCallback(() => seen.push(storage.getStore(), currentTask())));
    storage.run('theirs', () => future.setResult(null));
    await sleep(0);
    assert.deepEqual(seen, ['mine', null]);
  }));

test('removeDoneCallback() removes all occurrences and returns their number', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const log: string[] = [];
    const gone = (): void => {
      log.push('gone');
    };
    assert.equal(future.removeDoneCallback(gone), 0);
    future.addDoneCallback(gone);
    assert.equal(future.removeDoneCallback(gone), 1);
    future.addDoneCallback(gone);
    future.addDoneCallback(() => log.push('kept'));
    future.addDoneCallback(gone);
    assert.equal(future.removeDoneCallback(gone), 2);
    assert.equal(future.removeDoneCallback(gone), 0);
    future.setResult(null);
    await sleep(0);
    assert.deepEqual(log, ['kept']);
  }));

test('a done callback that throws is reported, and the others are called', () =>
  simulate(async (loop, reports) => {
    const future = loop.createFuture();
    const error = new Error('no');
    let called = false;
    future.addDoneCallback(() => {
      throw error;
    });
    future.addDoneCallback(() => {
      called = true;
    });
    future.setResult(null);
    await sleep(0);
    assert.equal(called, true);
    assert.deepEqual(
      reports.take().map((context) => context.exception),
      [error],
    );
  }));

test('then(), catch() and finally() of a future behave as those of a promise', () =>
  simulate(async (loop) => {
    const good = loop.createFuture<number>();
    const bad = loop.createFuture<number>();
    loop.callLater(1, () => {
      good.setResult(1);
      bad.setException(new Error('no'));
    });
    assert.equal(await good.then((value) => value + 1), 2);
    assert.equal(await good.then(), 1);
    assert.equal(await good.then(null, null), 1);
    assert.equal(await good.then(() => Promise.resolve('inner')), 'inner');
    assert.equal(await bad.then(undefined, () => 'caught'), 'caught');
    assert.equal(await bad.catch(() => 'caught'), 'caught');
    assert.equal(
      await outcome(
        good.then(() => {
          throw new Error('thrown');
        }),
      ),
      'error thrown',
    );
    let times = 0;
    assert.equal(
      await good.finally(() => {
        times++;
      }),
      1,
    );
    assert.equal(
      await outcome(
        bad.finally(() => {
          times++;
        }),
      ),
      'error no',
    );
    assert.equal(times, 2);
  }));

test('a future can be awaited outside of any task, and together with promises', () =>
  withLoop(
    () => new SimulatedEventLoop(),
    async (loop) => {
      const future = loop.createFuture<number>();
      loop.callLater(5, () => future.setResult(5));
      const all = Promise.all([future, Promise.resolve('p')]);
      await loop.runUntilComplete(future);
      assert.deepEqual(await all, [5, 'p']);
    },
  ));

test('an exception that was never retrieved is reported when the future is collected', () =>
  simulate(async (loop, reports) => {
    const error = new Error('lost');
    (() => loop.createFuture().setException(error))();
    await sleep(1);
    await collectGarbage();
    const [report, ...more] = reports.take();
    assert.equal(report?.exception, error);
    assert.match(report?.message ?? '', /never retrieved/);
    assert.deepEqual(more, []);
  }));

test('an exception that was never retrieved is reported once when the loop closes', async () => {
  const loop = new SimulatedEventLoop();
  const reports: unknown[] = [];
  loop.setExceptionHandler((_loop, context) => reports.push(context.exception));
  const error = new Error('lost');
  const future = loop.createFuture();
  future.setException(error);
  await loop.runUntilComplete(() => sleep(1));
  assert.deepEqual(reports, []);
  loop.close();
  assert.deepEqual(reports, [error]);
  await collectGarbage();
  assert.deepEqual(reports, [error]);
  assert.equal(future.exception(), error);
});

test('await, result(), exception() and catch() count as retrieving the exception of a future', () =>
  simulate(async (loop) => {
    const looks: ((future: Future<unknown>) => unknown)[] = [
      (future) => assert.rejects(Promise.resolve(future)),
      (future) => assert.throws(() => future.result()),
      (future) => future.exception(),
      (future) => future.catch(() => {}),
    ];
    for (const look of looks) {
      const future = loop.createFuture();
      future.setException(new Error('seen'));
      await look(future);
    }
    await collectGarbage();
  }));

test('a cancelled future that was never retrieved is not reported', () =>
  simulate(async (loop, reports) => {
    (() => loop.createFuture().cancel())();
    await collectGarbage();
    assert.deepEqual(reports.take(), []);
  }));

test('an exception that was never retrieved is no unhandled rejection of the process', async () => {
  const seen: unknown[] = [];
  const listener = (reason: unknown): void => {
    seen.push(reason);
  };
  process.on('unhandledRejection', listener);
  try {
    await simulate(async (loop, reports) => {
      const error = new Error('lost');
      loop.createFuture().setException(error);
      void loop.createTask(async () => {
        throw error;
      });
      await sleep(1);
      await collectGarbage();
      await turns(3);
      reports.take();
    });
    assert.deepEqual(seen, []);
  } finally {
    process.off('unhandledRejection', listener);
  }
});

test('the report of an exception that was never retrieved says in debug mode where its future was created', async () => {
  const loop = new SimulatedEventLoop();
  loop.debug = true;
  // A busy machine makes callbacks slow, which debug mode reports.
  loop.slowCallbackDuration = Number.POSITIVE_INFINITY;
  const traces: (string | undefined)[] = [];
  loop.setExceptionHandler((_loop, context) => traces.push(context.sourceTraceback));
  const future = loop.createFuture();
  future.setException(new Error('lost'));
  loop.close();
  assert.equal(traces.length, 1);
  assert.match(traces[0] ?? '', /future\.test\.ts/);
});

test('cancelling a future that two tasks await cancels the await of both', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const tasks = [1, 2].map(() => loop.createTask(() => future));
    await sleep(0);
    future.cancel();
    for (const task of tasks) {
      await assert.rejects(task, CancelledError);
      assert.equal(task.cancelled(), true);
    }
  }));

test('a future of the loop is a Future, and a task is one too', () =>
  simulate(async (loop) => {
    assert.ok(loop.createFuture() instanceof Future);
    const task = loop.createTask(async () => 1);
    assert.ok(task instanceof Future);
    assert.equal(Object.prototype.toString.call(task), '[object Task]');
    await task;
  }));

test('a task can await a done future of another loop, but no pending one', () =>
  simulate((loop) =>
    withLoop(
      () => new SimulatedEventLoop(),
      async (other) => {
        const pending = other.createFuture();
        const done = other.createFuture<string>();
        done.setResult('done');
        const task = loop.createTask(async () => {
          const error = { ...invalidState, message: /of another event loop/ };
          await assert.rejects(async () => await pending, error);
          await assert.rejects(Promise.all([pending]), error);
          return await done;
        });
        assert.equal(await task, 'done');
        // This future has no waiter, so neither a cancel nor a result of it goes anywhere.
        assert.equal(pending._waiters, null);
        pending.cancel();
      },
    ),
  ));

test('awaiting a pending future of a closed loop throws, because the loop would never wake the waiter', async () => {
  const loop = new SimulatedEventLoop();
  const pending = loop.createFuture<string>();
  const done = loop.createFuture<string>();
  done.setResult('done');
  loop.close();
  const error = { name: 'LoopError', code: 'ERR_LOOP_CLOSED' };
  await assert.rejects(async () => await pending, error);
  await assert.rejects(gather(pending), error);
  await assert.rejects(async () => await ensureFuture(new Promise(() => {}), { loop }), error);
  await assert.rejects(async () => await new StreamReader({ loop }).read(1), error);
  for (const future of [pending, done]) assert.throws(() => future.addDoneCallback(() => {}), error);
  assert.equal(await done, 'done');
});
