import type { AsCompletedOptions, Task, WaitOptions } from '../../../src/index.ts';
import {
  asCompleted,
  CancelledError,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  sleep,
  TimeoutError,
  wait,
} from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** wait() and asCompleted(): the futures that are done when they return, and their order. */
export const scenario: Scenario = async (loop, log) => {
  const job = async (name: string, delay: number, error?: string): Promise<string> => {
    try {
      await sleep(delay);
    } catch (cancelled) {
      log(`${name} cancelled`);
      throw cancelled;
    }
    if (error !== undefined) throw new Error(error);
    return name;
  };
  const start = (name: string, delay: number, error?: string): Task<string> =>
    loop.createTask(() => job(name, delay, error), { name });
  const names = (tasks: Iterable<Task>): string =>
    [...tasks]
      .map((task) => task.name)
      .sort()
      .join(' ') || '-';
  const pendingOf = (tasks: Task[]): string => names(tasks.filter((task) => !task.done()));

  const attempt = async (title: string, tasks: Task[], options: WaitOptions = {}): Promise<void> => {
    log(`--- ${title}`);
    const [done, pending] = await wait(tasks, options);
    log(`done ${names(done)}, pending ${names(pending)}`);
    for (const task of done) if (!task.cancelled()) task.exception();
    for (const task of pending) task.cancel();
    await sleep(0.5);
  };
  const completed = async (title: string, tasks: Task[], options: AsCompletedOptions = {}): Promise<void> => {
    log(`--- ${title}`);
    try {
      for await (const one of asCompleted(tasks, options)) {
        try {
          log(`has ${await one}`);
        } catch (error) {
          log(`raised ${words(error)}`);
        }
      }
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      log('TimeoutError');
    }
    log(`pending ${pendingOf(tasks)}`);
    await sleep(5);
  };

  await loop.runUntilComplete(async () => {
    const returnFirst: WaitOptions = { returnWhen: FIRST_COMPLETED };
    const returnFailed: WaitOptions = { returnWhen: FIRST_EXCEPTION };
    await attempt('all completed', [start('a', 2), start('b', 1, 'failure'), start('c', 3)]);
    await attempt('first completed', [start('a', 2), start('b', 1), start('c', 3)], returnFirst);
    await attempt('first exception', [start('a', 1), start('b', 2, 'failure'), start('c', 3)], returnFailed);
    await attempt('first exception, and none fails', [start('a', 1), start('b', 2)], returnFailed);
    await attempt('timeout', [start('a', 1), start('b', 3)], { timeout: 2 });
    await attempt('no time at all', [start('a', 1)], { timeout: 0 });

    const cancelled = start('a', 3);
    loop.callLater(1, () => cancelled.cancel());
    await attempt('first exception: a cancelled one is none', [cancelled, start('b', 2)], returnFailed);

    const early = start('early', 0);
    await sleep(0.5);
    await attempt('one is done already', [start('b', 3), early], returnFirst);

    log('--- cancelled: what was waited for goes on');
    const tasks = [start('a', 3)];
    const waiting = loop.createTask(async () => {
      await wait(tasks);
    });
    loop.callLater(1, () => waiting.cancel());
    try {
      await waiting;
    } catch (error) {
      if (error instanceof CancelledError) log(`CancelledError, pending ${pendingOf(tasks)}`);
    }
    log(`has ${await tasks[0]}`);

    await completed('as completed', [start('a', 3), start('b', 1), start('c', 2)]);
    await completed('as completed, with a failure', [start('a', 2), start('b', 1, 'failure')]);
    await completed('as completed, with a timeout', [start('a', 1), start('b', 3)], { timeout: 2 });
  });
};
