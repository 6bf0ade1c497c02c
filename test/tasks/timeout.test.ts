import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedEventLoop } from '../../src/entry/sim.ts';
import type { Task, Timeout } from '../../src/index.ts';
import { CancelledError, currentTask, sleep, timeout, timeoutAt } from '../../src/index.ts';
import { simulate } from '../helpers/simulation.ts';
import { native, outcome } from './helpers.ts';

const self = (): Task => currentTask() as Task;

test('timeout returns the result of a body that ends in time', () =>
  simulate(async (loop) => {
    assert.equal(await timeout(5, () => sleep(1, 'in time')), 'in time');
    assert.equal(await timeout(5, async () => 'at once'), 'at once');
    assert.equal(await timeout(5, (() => 'no promise') as never), 'no promise');
    assert.equal(loop.time(), 1);
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('timeout runs its body in the current task, and at once', () =>
  simulate(async () => {
    const outer = currentTask();
    let ran = false;
    const running = timeout(5, async () => {
      ran = true;
      assert.equal(currentTask(), outer);
      await sleep(1);
      assert.equal(currentTask(), outer);
    });
    assert.equal(ran, true);
    await running;
  }));

test('timeout throws a TimeoutError with the CancelledError as cause when the deadline ended the body', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const running = timeout(2, async (scope) => {
      assert.equal(scope.when(), 2);
      assert.equal(scope.expired(), false);
      try {
        await sleep(100);
      } catch (error) {
        log.push((error as Error).name, String(scope.expired()), String(self().cancelling()));
        throw error;
      } finally {
        await sleep(1);
        log.push('cleaned up');
      }
    });
    await assert.rejects(running, (error: Error) => {
      assert.equal(error.name, 'TimeoutError');
      return error.cause instanceof CancelledError;
    });
    assert.deepEqual(log, ['CancelledError', 'true', '1', 'cleaned up']);
    assert.equal(loop.time(), 3);
    assert.equal(self().cancelling(), 0);
    await sleep(1);
  }));

test('timeout passes other errors of the body on, also after the deadline', () =>
  simulate(async () => {
    const error = new Error('mine');
    const failing = async (): Promise<void> => {
      throw error;
    };
    await assert.rejects(timeout(5, failing), error);
    const syncBody = (): Promise<void> => {
      throw error;
    };
    await assert.rejects(timeout(5, syncBody), error);
    const late = async (): Promise<void> => {
      await sleep(100).catch(() => {
        throw error;
      });
    };
    await assert.rejects(timeout(1, late), error);
    assert.equal(self().cancelling(), 0);
  }));

test('timeout returns the result of a body that catches the cancel', () =>
  simulate(async (loop) => {
    const swallowing = async (scope: Timeout): Promise<string> => {
      await sleep(100).catch(() => {});
      await sleep(1);
      return `expired: ${scope.expired()}`;
    };
    assert.equal(await timeout(1, swallowing), 'expired: true');
    assert.equal(self().cancelling(), 0);
    assert.equal(loop.time(), 2);
  }));

test('timeout passes on a CancelledError that the deadline did not cause', () =>
  simulate(async (loop) => {
    const cancelled = sleep(100);
    loop.callLater(1, () => cancelled.cancel());
    assert.equal(await outcome(timeout(5, () => cancelled)), 'CancelledError');
    assert.equal(self().cancelling(), 0);
  }));

test('timeout passes a cancel of its task on, also when it comes just before or after the deadline', () =>
  simulate(async (loop) => {
    for (const [cancelAt, order] of [
      [1, 'before'],
      [2, 'cancel first'],
      [2, 'deadline first'],
      [2.5, 'in the cleanup'],
    ] as const) {
      const body = async (): Promise<void> => {
        try {
          await sleep(100);
        } finally {
          await sleep(1);
        }
      };
      const start = loop.time();
      let cancelled: Promise<void> = Promise.resolve();
      const cancelLater = (): void => {
        cancelled = sleep(cancelAt).then(() => {
          task.cancel();
        });
      };
      const task: Task<void> = loop.createTask(async () => {
        await timeoutAt(start + 2, body);
      });
      if (order !== 'deadline first') cancelLater();
      await sleep(0);
      if (order === 'deadline first') cancelLater();
      assert.equal(await outcome(task), 'CancelledError', order);
      assert.equal(task.cancelling(), 1, order);
      await cancelled;
    }
  }));

test('timeout of zero or less ends the body at its first await that waits', () =>
  simulate(async (loop) => {
    for (const seconds of [0, -1, Number.NEGATIVE_INFINITY]) {
      assert.equal(await outcome(timeout(seconds, () => sleep(0))), 'TimeoutError');
      assert.equal(await timeout(seconds, async () => 'waits for nothing'), 'waits for nothing');
    }
    assert.equal(await outcome(timeoutAt(loop.time() - 1, () => sleep(0))), 'TimeoutError');
    assert.equal(loop.time(), 0);
    await sleep(0);
    assert.equal(self().cancelling(), 0);
  }));

test('timeout of null or Infinity has no deadline', () =>
  simulate(async (loop) => {
    for (const seconds of [null, Number.POSITIVE_INFINITY]) {
      const when = await timeout(seconds, async (scope) => {
        await sleep(1e6);
        return scope.when();
      });
      assert.equal(when, seconds);
    }
    assert.equal(await timeoutAt(null, () => sleep(1, 'slept')), 'slept');
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('timeoutAt takes its deadline on the loop’s clock', () =>
  simulate(async (loop) => {
    await sleep(10);
    assert.equal(await outcome(timeoutAt(12, () => sleep(100))), 'TimeoutError');
    assert.equal(loop.time(), 12);
  }));

test('reschedule() moves, sets and removes the deadline of a timeout', () =>
  simulate(async (loop) => {
    const later = timeout(1, async (scope) => {
      scope.reschedule(5);
      assert.equal(scope.when(), 5);
      await sleep(100);
    });
    assert.equal(await outcome(later), 'TimeoutError');
    assert.equal(loop.time(), 5);
    const set = timeout(null, async (scope) => {
      assert.equal(scope.when(), null);
      scope.reschedule(7);
      await sleep(100);
    });
    assert.equal(await outcome(set), 'TimeoutError');
    assert.equal(loop.time(), 7);
    const past = timeout(50, async (scope) => {
      scope.reschedule(1);
      await sleep(100);
    });
    assert.equal(await outcome(past), 'TimeoutError');
    assert.equal(loop.time(), 7);
    const away = timeout(1, async (scope) => {
      scope.reschedule(null);
      await sleep(100);
    });
    assert.equal(await outcome(away), 'result undefined');
    assert.equal(loop._scheduler.timers.size, 0);
  }));

test('reschedule() rejects a body that has ended, a deadline that has passed, and anything but a time', () =>
  simulate(async () => {
    let kept: Timeout | undefined;
    const invalidState = { name: 'InvalidStateError' };
    await timeout(5, async (scope) => {
      kept = scope;
      assert.throws(() => scope.reschedule(Number.NaN), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => scope.reschedule('x' as never), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.equal(scope.when(), 5);
    });
    assert.throws(() => kept?.reschedule(9), invalidState);
    const expired = timeout(1, async (scope) => {
      await sleep(100).catch(() => {});
      assert.throws(() => scope.reschedule(9), invalidState);
    });
    await expired;
  }));

test('nested timeouts throw for their own deadline only', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const nest = (outer: number, inner: number) =>
      timeout(outer, async () => {
        log.push(await outcome(timeout(inner, () => sleep(100))));
        await sleep(1);
        return 'outer ended';
      });
    assert.equal(await nest(10, 1), 'outer ended');
    assert.deepEqual(log.splice(0), ['TimeoutError']);
    assert.equal(await outcome(timeout(1, () => timeout(10, () => sleep(100)))), 'TimeoutError');
    // The outer deadline ended the inner body, so the inner body gets a CancelledError.
    const seen = timeout(1, async () => {
      const how = await outcome(timeout(10, () => sleep(100)));
      log.push(how);
      throw new CancelledError();
    });
    assert.equal(await outcome(seen), 'TimeoutError');
    assert.deepEqual(log.splice(0), ['CancelledError']);
    // Both deadlines come at once: the outer one is the reason that counts.
    const both = timeout(1, async () => {
      log.push(await outcome(timeout(1, () => sleep(100))));
      throw new CancelledError();
    });
    assert.equal(await outcome(both), 'TimeoutError');
    assert.deepEqual(log.splice(0), ['CancelledError']);
    assert.equal(self().cancelling(), 0);
    await sleep(loop.time());
  }));

test('timeout abandons a body at a native promise in time, and cancels it at its next await of a future', () =>
  simulate(async (loop) => {
    const log: unknown[] = [];
    const running = timeout(1, async (scope) => {
      await native(loop, 5);
      log.push(loop.time(), scope.expired());
      await sleep(1).catch((error: Error) => log.push(error.name));
      await sleep(1);
      log.push('its cancel was thrown once');
    });
    assert.equal(await outcome(running), 'TimeoutError');
    assert.equal(loop.time(), 1);
    await sleep(10);
    assert.deepEqual(log, [5, true, 'CancelledError', 'its cancel was thrown once']);
  }));

test('the loop names an abandoned body when it closes, and reports its failure', async () => {
  const loop = new SimulatedEventLoop();
  const reports: string[] = [];
  loop.setExceptionHandler((_loop, { message, exception }) =>
    reports.push(`${message}: ${String(exception)}`),
  );
  await loop.runUntilComplete(async () => {
    const failing = timeout(1, async () => {
      await native(loop, 5);
      throw new Error('late');
    });
    assert.equal(await outcome(failing), 'TimeoutError');
    assert.equal(await outcome(timeout(1, () => new Promise(() => {}))), 'TimeoutError');
    await sleep(10);
  });
  assert.deepEqual(reports.splice(0), [
    'the body of timeout() failed after its deadline, which could not interrupt it: Error: late',
  ]);
  loop.close();
  assert.match(
    reports.join(),
    /^the event loop was closed, but the body of Task-\d+, in timeout\(\) still awaited a promise/,
  );
});

test('scope.signal ends the operation behind a native promise, and the body still cleans up', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const running = timeout(1, async ({ signal }) => {
      try {
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new DOMException('aborted', { name: 'AbortError' })));
        });
      } catch (error) {
        await sleep(1);
        log.push('cleaned up');
        throw Object.assign(
          new Error('aborted'),
          { name: 'AbortError', cause: signal.reason },
          { was: error },
        );
      }
    });
    assert.equal(await outcome(running), 'TimeoutError');
    assert.equal(loop.time(), 2);
    assert.deepEqual(log, ['cleaned up']);
  }));

test('timeout does not claim a cancel that was pending when the body began', () =>
  simulate(async (loop) => {
    let reached = '';
    const task = loop.createTask(async () => {
      self().cancel();
      await timeout(0, async () => {
        await native(loop, 1);
        reached = await outcome(sleep(1));
      });
    });
    assert.equal(await outcome(task), 'CancelledError');
    assert.equal(task.cancelled(), true);
    await sleep(2);
    assert.equal(reached, 'CancelledError');
  }));

test('timeout works as usual in the cleanup of a cancelled task', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    const task = loop.createTask(async () => {
      try {
        await sleep(100);
      } finally {
        log.push(await outcome(timeout(1, () => sleep(100))));
      }
    });
    await sleep(1);
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.deepEqual(log, ['TimeoutError']);
  }));

test('task.signal aborts at the deadline of a timeout, and is fresh after it', () =>
  simulate(async () => {
    let signal: AbortSignal | undefined;
    const running = timeout(1, async () => {
      signal = self().signal;
      await sleep(100);
    });
    assert.equal(await outcome(running), 'TimeoutError');
    assert.equal(signal?.aborted, true);
    assert.equal(self().signal.aborted, false);
  }));

test('timeout throws for its signal if that aborts before the deadline, else for the deadline', () =>
  simulate(async (loop) => {
    const body = async (): Promise<void> => {
      try {
        await sleep(100);
      } finally {
        await sleep(5);
      }
    };
    const at = (seconds: number): AbortSignal => {
      const controller = new AbortController();
      loop.callLater(seconds, () => controller.abort('aborted'));
      return controller.signal;
    };
    await assert.rejects(timeout(2, body, { signal: at(1) }), { name: 'CancelledError', cause: 'aborted' });
    const aborted = timeout(
      2,
      async (scope) => {
        await body().catch(() => {});
        return scope.expired();
      },
      { signal: at(1) },
    );
    assert.equal(await aborted, false);
    assert.equal(await outcome(timeout(1, body, { signal: at(2) })), 'TimeoutError');
    assert.equal(self().cancelling(), 0);
  }));

test('timeout works in a callback, outside of every task', () =>
  simulate(async (loop) => {
    const log: string[] = [];
    loop.callSoon(async () => {
      log.push(await outcome(timeout(1, () => sleep(5))));
      log.push(await outcome(timeout(5, () => sleep(1, 'in time'))));
    });
    await sleep(10);
    assert.deepEqual(log, ['TimeoutError', 'result in time']);
  }));

test('timeout rejects wrong arguments at the call, and runs nothing then', async () => {
  assert.throws(() => timeout(1, async () => {}), { code: 'ERR_NO_RUNNING_LOOP' });
  await simulate(async (loop) => {
    const body = async (): Promise<void> => assert.fail('started');
    for (const start of [timeout, timeoutAt]) {
      assert.throws(() => start(Number.NaN, body), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => start('1' as never, body), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => start(undefined as never, body), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => start(1, Promise.resolve() as never), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"body"/,
      });
      assert.throws(() => start(1, body, { when: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    assert.equal(loop._scheduler.timers.size, 0);
  });
});
