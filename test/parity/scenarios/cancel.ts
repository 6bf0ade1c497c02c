import type { Future, Task } from '../../../src/index.ts';
import { CancelledError, currentTask, sleep } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { cancelledError, words } from '../scenario.ts';

/** Cancellation of tasks: where it arrives, what may swallow it, how it is counted. */
export const scenario: Scenario = async (loop, log) => {
  /** Lets the task take its first steps, then cancels as told, and says how it ended. */
  const run = async (title: string, task: Task, ...actions: (() => boolean)[]): Promise<void> => {
    log(`--- ${title}`);
    for (const action of actions) {
      await sleep(1);
      log(`cancel: ${words(action())}`);
    }
    try {
      log(`result ${await task}`);
    } catch (error) {
      log(error instanceof CancelledError ? cancelledError(error) : `raised ${words(error)}`);
    }
    log(`done ${words(task.done())}, cancelled ${words(task.cancelled())}, cancelling ${task.cancelling()}`);
  };
  const current = (): Task => currentTask() as Task;

  const asleep = async (): Promise<string> => {
    try {
      return await sleep(10, 'slept');
    } finally {
      log('finally');
    }
  };
  const cleansUp = async (): Promise<void> => {
    try {
      await sleep(10);
    } finally {
      log('cleaning up');
      await sleep(1.5);
      log('cleaned up');
    }
  };
  const swallows = async (): Promise<string> => {
    try {
      await sleep(10);
    } catch {
      log('swallowed');
    }
    await sleep(1);
    return 'went on';
  };
  const converts = async (): Promise<void> => {
    try {
      await sleep(10);
    } catch {
      throw new Error('instead');
    }
  };
  const counts = async (): Promise<string> => {
    for (let i = 0; i < 2; i++) {
      try {
        await sleep(10);
      } catch {
        log(`cancelling ${current().cancelling()}`);
      }
    }
    log(`uncancel ${current().uncancel()}`);
    log(`uncancel ${current().uncancel()}`);
    log(`uncancel ${current().uncancel()}`);
    return 'counted';
  };
  const nested = async (): Promise<void> => {
    const inner = async (): Promise<void> => {
      try {
        await asleep();
      } catch (error) {
        log('inner saw it');
        throw error;
      }
    };
    try {
      await inner();
    } finally {
      log('outer finally');
    }
  };
  const waitsFor = async (future: Future<unknown>): Promise<unknown> => {
    try {
      return await future;
    } finally {
      log(`future cancelled ${words(future.cancelled())}`);
    }
  };
  const waitsForTask = async (task: Task): Promise<unknown> => {
    try {
      return await task;
    } finally {
      log(`inner task done ${words(task.done())}, cancelled ${words(task.cancelled())}`);
    }
  };
  const cancelsItself = async (): Promise<void> => {
    current().cancel();
    log('goes on until it waits');
    await sleep(0);
    log('never');
  };
  const cancelsItselfAndReturns = async (): Promise<string> => {
    current().cancel();
    return 'returned';
  };

  await loop.runUntilComplete(async () => {
    let task: Task = loop.createTask(asleep);
    await run('at a sleep', task, () => task.cancel());

    task = loop.createTask(asleep);
    await run('with a message', task, () => task.cancel('enough'));

    task = loop.createTask(asleep);
    task.cancel();
    await run('before it starts', task);

    task = loop.createTask(cleansUp);
    await run('with a cleanup that waits', task, () => task.cancel());

    task = loop.createTask(cleansUp);
    await run(
      'again, during the cleanup',
      task,
      () => task.cancel(),
      () => task.cancel(),
    );

    task = loop.createTask(swallows);
    await run('swallowed', task, () => task.cancel());

    task = loop.createTask(converts);
    await run('converted', task, () => task.cancel());

    task = loop.createTask(counts);
    await run(
      'counted',
      task,
      () => task.cancel(),
      () => task.cancel(),
    );

    task = loop.createTask(nested);
    await run('nested', task, () => task.cancel());

    let future: Future<unknown> = loop.createFuture();
    task = loop.createTask(() => waitsFor(future));
    await run('at a future', task, () => task.cancel());

    future = loop.createFuture();
    task = loop.createTask(() => waitsFor(future));
    await run('by the future that it waits for', task, () => future.cancel());

    let inner: Task = loop.createTask(asleep);
    task = loop.createTask(() => waitsForTask(inner));
    await run('at another task', task, () => task.cancel());

    inner = loop.createTask(swallows);
    task = loop.createTask(() => waitsForTask(inner));
    await run('at another task, which swallows it', task, () => task.cancel());

    task = loop.createTask(cancelsItself);
    await run('by itself', task);

    task = loop.createTask(cancelsItselfAndReturns);
    await run('by itself, without another await', task);

    task = loop.createTask(async () => 'early');
    await run('when it is done', task, () => task.cancel());

    // The result is there, the task is about to be woken: the cancel comes first.
    future = loop.createFuture();
    task = loop.createTask(() => waitsFor(future));
    await run('between result and wake-up', task, () => {
      future.setResult('result');
      return task.cancel();
    });

    // Both are woken in one turn, the first one cancels the second.
    log('--- in the turn of its wake-up');
    future = loop.createFuture();
    const killer = loop.createTask(async () => {
      await future;
      log(`cancel: ${words(victim.cancel())}`);
    });
    const victim: Task = loop.createTask(async () => {
      log(`has ${await future}`);
      await sleep(1);
      log('slept');
    });
    await sleep(1);
    future.setResult('result');
    await killer;
    await run('ends', victim);
  });
};
