import type { Awaitable, Task } from '../../../src/index.ts';
import { CancelledError, gather, sleep } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** gather(): the order of results, failures, and what a cancel reaches. */
export const scenario: Scenario = async (loop, log) => {
  const job = async (name: string, delay: number, error?: string): Promise<string> => {
    log(`${name} starts`);
    try {
      await sleep(delay);
    } catch (cancelled) {
      log(`${name} cancelled`);
      throw cancelled;
    }
    if (error !== undefined) {
      log(`${name} fails`);
      throw new Error(error);
    }
    log(`${name} returns`);
    return name;
  };
  /** Python's gather() makes tasks of coroutines; gyre's is given tasks. */
  const start = (name: string, delay: number, error?: string): Task<string> =>
    loop.createTask(() => job(name, delay, error));
  const attempt = async (title: string, make: () => Awaitable<readonly unknown[]>): Promise<void> => {
    log(`--- ${title}`);
    try {
      log(`answer ${words(await make())}`);
    } catch (error) {
      log(error instanceof CancelledError ? 'CancelledError' : `raised ${words(error)}`);
    }
  };

  await loop.runUntilComplete(async () => {
    await attempt('results in the order of the arguments', () =>
      gather(start('a', 3), start('b', 1), start('c', 2)),
    );
    await attempt('of nothing', () => gather());

    const twice = start('twice', 1);
    await attempt('the same one twice', () => gather(twice, twice));

    let tasks = [start('a', 3), start('b', 1, 'first failure'), start('c', 2, 'second failure')];
    await attempt('the first failure comes out at once, the others go on', () => gather(...tasks));
    await sleep(5);
    log(`done ${words(tasks.map((task) => task.done()))}`);

    await attempt('exceptions as results', () =>
      gather({ returnExceptions: true }, start('a', 2), start('b', 1, 'failure')),
    );

    tasks = [start('a', 3), start('b', 4)];
    const gathering = gather(...tasks);
    loop.callLater(1, () => gathering.cancel());
    await attempt('cancelled', () => gathering);
    log(`cancelled ${words(tasks.map((task) => task.cancelled()))}`);

    tasks = [start('a', 3), start('b', 4)];
    loop.callLater(1, () => tasks[0]?.cancel());
    await attempt('one of them cancelled', () => gather(...tasks));
    log(`done ${words(tasks.map((task) => task.done()))}`);
    await sleep(5);

    const pair = [start('a', 3), start('b', 4)];
    const task = loop.createTask(async () => {
      try {
        await gather(...pair);
      } finally {
        log(`outer finally, done ${words(pair.map((one) => one.done()))}`);
      }
    });
    loop.callLater(1, () => task.cancel());
    await attempt('the task that waits cancelled', () => gather(task));

    const done = loop.createFuture<string>();
    done.setResult('done before');
    await attempt('with a future that is done', () => gather(done, start('a', 1)));
  });
};
