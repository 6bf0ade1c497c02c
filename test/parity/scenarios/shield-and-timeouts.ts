import type { Awaitable, Task } from '../../../src/index.ts';
import {
  CancelledError,
  currentTask,
  shield,
  sleep,
  TimeoutError,
  timeout,
  waitFor,
} from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** shield(), waitFor() and timeout(): which future ends when, and which continues. */
export const scenario: Scenario = async (loop, log) => {
  const job = async (name: string, delay: number, error?: string): Promise<string> => {
    try {
      await sleep(delay);
      if (error !== undefined) throw new Error(error);
      log(`${name} returns`);
      return name;
    } catch (cancelled) {
      if (cancelled instanceof CancelledError) log(`${name} cancelled`);
      throw cancelled;
    }
  };
  /** Python's shield() and wait_for() make tasks of coroutines; gyre's are given tasks. */
  const start = (name: string, delay: number, error?: string): Task<string> =>
    loop.createTask(() => job(name, delay, error));
  const attempt = async (title: string, make: () => Awaitable<unknown>): Promise<void> => {
    log(`--- ${title}`);
    try {
      log(`answer ${words(await make())}`);
    } catch (error) {
      if (error instanceof CancelledError) log('CancelledError');
      else if (error instanceof TimeoutError) log('TimeoutError');
      else log(`raised ${words(error)}`);
    }
  };
  const stubborn = async (): Promise<string> => {
    try {
      await sleep(10);
    } catch {
      log('stubborn: not yet');
      await sleep(2);
      log('stubborn: now');
    }
    return 'late';
  };
  const inATimeout = async (seconds: number | null, delay: number): Promise<string> => {
    let expired = (): boolean => false;
    await timeout(seconds, async (scope) => {
      expired = () => scope.expired();
      try {
        await sleep(delay);
        log('slept');
      } finally {
        log(`expired ${words(expired())}`);
      }
    });
    log(`left, expired ${words(expired())}`);
    return 'body';
  };

  await loop.runUntilComplete(async () => {
    let inner = start('inner', 3);
    const outer = shield(inner);
    loop.callLater(1, () => outer.cancel());
    await attempt('shield: the outer one cancelled, the inner one goes on', () => outer);
    log(`inner done ${words(inner.done())}`);
    await attempt('and can be awaited', () => inner);

    inner = start('inner', 3);
    loop.callLater(1, () => inner.cancel());
    await attempt('shield: the inner one cancelled', () => shield(inner));

    inner = start('inner', 1, 'failure');
    await attempt('shield: a failure comes through', () => shield(inner));

    inner = start('inner', 3);
    let task: Task = loop.createTask(async () => {
      await shield(inner);
    });
    loop.callLater(1, () => task.cancel());
    await attempt('shield: the task that waits cancelled', () => task);
    await attempt('the inner one', () => inner);

    await attempt('wait_for: in time', () => waitFor(start('job', 1), 2));
    await attempt('wait_for: too late', () => waitFor(start('job', 3), 2));
    await attempt('wait_for: a failure', () => waitFor(start('job', 1, 'failure'), 2));
    await attempt('wait_for: no limit', () => waitFor(start('job', 3), null));
    const future = loop.createFuture();
    await attempt('wait_for: a future is cancelled', () => waitFor(future, 1));
    log(`future cancelled ${words(future.cancelled())}`);
    task = loop.createTask(() => waitFor(start('job', 3), 5));
    loop.callLater(1, () => task.cancel());
    await attempt('wait_for: cancelled from outside', () => task);
    await attempt('wait_for: waits until the job has ended', () => waitFor(loop.createTask(stubborn), 1));

    await attempt('timeout: in time', () => inATimeout(2, 1));
    await attempt('timeout: too late', () => inATimeout(1, 2));
    await attempt('timeout: at once', () => inATimeout(0, 1));
    await attempt('timeout: never', () => inATimeout(null, 1));

    const nested = async (outerSeconds: number, innerSeconds: number): Promise<void> => {
      try {
        await timeout(outerSeconds, async () => {
          try {
            await timeout(innerSeconds, () => sleep(10));
          } catch (error) {
            if (!(error instanceof TimeoutError)) throw error;
            log('the inner one');
            await sleep(10);
          }
        });
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error;
        log('the outer one');
      }
      log(`cancelling ${currentTask()?.cancelling()}`);
    };
    await attempt('timeout: nested, the outer one first', () => nested(1, 2));
    await attempt('timeout: nested, the inner one first', () => nested(3, 1));

    await attempt('timeout: rescheduled', () =>
      timeout(1, async (scope) => {
        await sleep(0.5);
        scope.reschedule(loop.time() + 3);
        log(`in ${((scope.when() as number) - loop.time()).toFixed(1)} seconds`);
        await sleep(2);
        log('slept');
        scope.reschedule(loop.time() + 1);
        await sleep(2);
      }),
    );

    task = loop.createTask(() => timeout(5, () => sleep(10)));
    loop.callLater(1, () => task.cancel());
    await attempt('timeout: cancelled from outside', () => task);
  });
};
