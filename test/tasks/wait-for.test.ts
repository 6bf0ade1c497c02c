import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BaseEventLoop, Future } from '../../src/index.ts';
import { CancelledError, currentTask, shield, sleep, timeout, waitFor } from '../../src/index.ts';
import { SimulatedEventLoop } from '../../src/loops/simulated-event-loop.ts';
import { operation } from '../../src/tasks/operation.ts';
import { collectGarbage } from '../helpers/gc.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, waitersOf } from './helpers.ts';

test('waitFor returns the result, or throws the failure, that comes in time', () =>
  simulate(async (loop) => {
    assert.equal(await waitFor(sleep(1, 'slept'), 5), 'slept');
    assert.equal(await waitFor(Promise.resolve('promise'), 5), 'promise');
    const failing = loop.createTask(() => Promise.reject(new Error('no')));
    assert.equal(await outcome(waitFor(failing, 5)), 'error no');
    assert.equal(loop.time(), 1);
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('waitFor of a done future costs no turn', () =>
  simulate(async (loop) => {
    const done = loop.createFuture<number>();
    done.setResult(1);
    let turn = false;
    loop.callSoon(() => {
      turn = true;
    });
    for (const seconds of [5, 0, -1, null]) assert.equal(await waitFor(done, seconds), 1);
    assert.equal(turn, false);
  }));

for (const seconds of [5, 0, null]) {
  test(`waitFor(${seconds}) of a done future loses no cancel that is due`, () =>
    simulate(async (loop) => {
      const done = loop.createFuture<number>();
      done.setResult(1);
      const task = loop.createTask(async () => {
        task.cancel();
        await waitFor(done, seconds);
      });
      assert.equal(await outcome(task), 'CancelledError');
    }));
}

test('waitFor cancels a future that takes too long, and throws a TimeoutError with the CancelledError as cause', () =>
  simulate(async (loop) => {
    const slow = sleep(100);
    await assert.rejects(waitFor(slow, 2.5), (error: Error) => {
      assert.equal(error.name, 'TimeoutError');
      assert.equal((error as Error & { code: string }).code, 'ERR_TIMEOUT');
      return error.cause instanceof CancelledError;
    });
    assert.equal(slow.cancelled(), true);
    assert.equal(loop.time(), 2.5);
    assert.equal(currentTask()?.cancelling(), 0);
  }));

test('waitFor(0) cancels at once, without a turn between', () =>
  simulate(async (loop) => {
    for (const seconds of [0, -1, Number.NEGATIVE_INFINITY]) {
      let started = false;
      const task = loop.createTask(async () => {
        started = true;
      });
      assert.equal(await outcome(waitFor(task, seconds)), 'TimeoutError');
      assert.equal(started, false);
    }
    assert.equal(loop.time(), 0);
  }));

test('waitFor without a limit waits for ever', () =>
  simulate(async (loop) => {
    assert.equal(await waitFor(sleep(1e9, 'slept'), null), 'slept');
    assert.equal(await waitFor(sleep(1, 'slept'), Number.POSITIVE_INFINITY), 'slept');
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('waitFor waits until the cancelled task has cleaned up', () =>
  simulate(async (loop) => {
    const task = loop.createTask(async () => {
      try {
        await sleep(100);
      } finally {
        await sleep(3);
      }
    });
    assert.equal(await outcome(waitFor(task, 1)), 'TimeoutError');
    assert.equal(loop.time(), 4);
    assert.equal(task.cancelled(), true);
  }));

test('waitFor returns the result of a cancelled task that caught the cancel', () =>
  simulate(async (loop) => {
    const giving = loop.createTask(async () => {
      await sleep(100).catch(() => {});
      return 'in spite of it';
    });
    assert.equal(await waitFor(giving, 1), 'in spite of it');
    const failing = loop.createTask(async () => {
      await sleep(100).catch(() => {
        throw new Error('cleanup failed');
      });
    });
    assert.equal(await outcome(waitFor(failing, 1)), 'error cleanup failed');
  }));

test('waitFor throws a CancelledError, not a TimeoutError, when its future was cancelled by itself', () =>
  simulate(async (loop) => {
    const cancelled = sleep(100);
    loop.callLater(1, () => cancelled.cancel());
    assert.equal(await outcome(waitFor(cancelled, 5)), 'CancelledError');
    assert.equal(loop.time(), 1);
  }));

test('a cancel of the task that awaits waitFor reaches the inner future, also after the deadline', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const inner = loop.createTask(async () => {
      try {
        await sleep(100);
      } finally {
        await sleep(3);
        log.push('not reached: cancelled in the cleanup');
      }
    });
    const outer = loop.createTask(async () => {
      await waitFor(inner, 1);
    });
    await sleep(2);
    outer.cancel();
    assert.equal(await outcome(outer), 'CancelledError');
    assert.equal(loop.time(), 2);
    assert.equal(inner.cancelled(), true);
    assert.deepEqual(log, []);
  }));

test('several waitFor calls in one task do not disturb each other', () =>
  simulate(async (loop) => {
    const waits = [waitFor(sleep(10, 'long'), 20), waitFor(sleep(10), 1), waitFor(sleep(2, 'short'), 20)];
    assert.deepEqual(await Promise.all(waits.map(outcome)), ['result long', 'TimeoutError', 'result short']);
    assert.equal(loop.time(), 10);
    assert.equal(currentTask()?.cancelling(), 0);
  }));

test('waitFor of a shield lets the shielded task continue', () =>
  simulate(async (loop) => {
    const task = loop.createTask(() => sleep(5, 'went on'));
    assert.equal(await outcome(waitFor(shield(task), 1)), 'TimeoutError');
    assert.equal(task.cancelling(), 0);
    assert.equal(waitersOf(task), 0);
    assert.equal(await task, 'went on');
  }));

test('nested waitFor calls end at the shorter limit', () =>
  simulate(async (loop) => {
    assert.equal(await outcome(waitFor(waitFor(sleep(100), 5), 1)), 'TimeoutError');
    assert.equal(await outcome(waitFor(waitFor(sleep(100), 1), 5)), 'TimeoutError');
    assert.equal(await outcome(timeout(1, () => waitFor(sleep(100), 5))), 'TimeoutError');
    assert.equal(loop.time(), 3);
  }));

test('waitFor works outside of a task', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    loop.callSoon(() => {
      void outcome(waitFor(sleep(100), 1)).then((how) => log.push(how));
    });
    await sleep(2);
    assert.deepEqual(log, ['TimeoutError']);
  }));

test('a promise that rejects after the limit of waitFor is not reported', () =>
  simulate(async (loop) => {
    const promise = new Promise((_resolve, reject) => loop.callLater(5, () => reject(new Error('late'))));
    assert.equal(await outcome(waitFor(promise, 1)), 'TimeoutError');
    await sleep(10);
    await collectGarbage();
  }));

test('waitFor with a signal that is already aborted cancels its future', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    await outcome(waitFor(future, 1, { signal: AbortSignal.abort() }));
    assert.equal(future.cancelled(), true);
  }));

test('waitFor rejects wrong arguments at the call', () =>
  simulate(async (loop) => {
    const future = loop.createFuture();
    const other = new SimulatedEventLoop();
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const range = { code: 'ERR_OUT_OF_RANGE' };
    for (const aw of [undefined, 5, {}, async () => {}]) {
      assert.throws(() => waitFor(aw as never, 1), { ...type, message: /"aw" argument must be a future/ });
    }
    assert.throws(() => waitFor(future, Number.NaN), { ...range, message: /"seconds".*NaN/ });
    assert.throws(() => waitFor(future, '5' as never), { ...type, message: /"seconds".*or null; got "5"/ });
    assert.throws(() => waitFor(future, undefined as never), type);
    assert.throws(() => waitFor(other.createFuture(), 1), { ...range, message: /"aw"/ });
    assert.throws(() => waitFor(future, 1, { timeout: 1 } as never), type);
    assert.equal(waitersOf(future), 0);
    other.close();
  }));

/** The kinds of futures that `waitFor` waits for, how each takes a cancel, and the word for its own end. */
const inners: Record<string, (loop: BaseEventLoop, done: Future<void>) => Future<string>> = {
  'a future': (loop, done) => {
    const future = loop.createFuture<string>();
    done.addDoneCallback(() => future.done() || future.setResult('own end'));
    return future;
  },
  'a failing future': (loop, done) => {
    const future = loop.createFuture<string>();
    done.addDoneCallback(() => future.done() || future.setException(new Error('own end')));
    return future;
  },
  'a task': (loop, done) =>
    loop.createTask(async () => {
      await done;
      return 'own end';
    }),
  'a task with cleanup': (loop, done) =>
    loop.createTask(async () => {
      try {
        await done;
      } finally {
        await sleep(1);
      }
      return 'own end';
    }),
  'an operation': (loop, done) =>
    operation(loop, 'inner', async () => {
      await done;
      await Promise.resolve();
      return 'own end';
    }),
};

/** A moment: virtual time, then turns of the loop, then microtasks. */
const moment = fc.record({ at: fc.integer({ min: 1, max: 3 }), turns: fc.nat(4), microtasks: fc.nat(4) });

for (const [name, makeInner] of Object.entries(inners)) {
  test(`waitFor of ${name} has one outcome and loses no cancel, in any order of end, deadline and cancel`, () =>
    fc.assert(
      fc.asyncProperty(
        fc.option(moment),
        fc.integer({ min: 0, max: 3 }),
        fc.array(moment, { maxLength: 2 }),
        fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
        async (doneAt, seconds, cancelsAt, order) => {
          await simulate(async (loop) => {
            const at = (
              { at, turns, microtasks }: { at: number; turns: number; microtasks: number },
              fn: () => void,
            ) =>
              loop.callLater(at, async () => {
                const hop = (left: number): void => {
                  if (left > 0) loop.callSoon(hop, left - 1);
                  else void later();
                };
                const later = async (): Promise<void> => {
                  for (let i = 0; i < microtasks; i++) await Promise.resolve();
                  fn();
                };
                hop(turns);
              });
            const done = loop.createFuture<void>();
            const inner = makeInner(loop, done);
            const outcomes: string[] = [];
            let cancels = 0;
            let thrownLater = 0;
            const task = loop.createTask(async () => {
              // The number of requests that had come when it ended, and whether the next await throws a
              // pending one.
              outcomes.push(await outcome(waitFor(inner, seconds)));
              const cancelledMeanwhile = cancels;
              await sleep(0).catch(() => thrownLater++);
              return cancelledMeanwhile;
            });
            const steps = [
              () => doneAt !== null && at(doneAt, () => done.done() || done.setResult()),
              () => cancelsAt[0] && at(cancelsAt[0], () => task.cancel() && cancels++),
              () => cancelsAt[1] && at(cancelsAt[1], () => task.cancel() && cancels++),
            ];
            for (const index of order) steps[index]?.();
            await sleep(20);
            // Without an end, a limit in time or a cancel it would wait for ever. Each of these has come by
            // now.
            if (!task.done()) task.cancel();
            const cancelledMeanwhile = await task.catch(() => 0);
            assert.equal(outcomes.length, 1);
            const how = outcomes[0] as string;
            assert.ok(
              ['result own end', 'error own end', 'TimeoutError', 'CancelledError'].includes(how),
              how,
            );
            if (how === 'CancelledError') assert.ok(cancels > 0, 'a CancelledError that nobody asked for');
            else if (cancelledMeanwhile > 0) assert.equal(thrownLater, 1, `${how}: the cancel was lost`);
            await inner.catch(() => {});
            assert.equal(loop._scheduler.timers.size, 0);
          });
        },
      ),
      { numRuns: 400 },
    ));
}
