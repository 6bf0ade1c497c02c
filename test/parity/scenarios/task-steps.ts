import type { Future, Task } from '../../../src/index.ts';
import { sleep } from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** The order in which tasks take their steps, among each other and among callbacks. */
export const scenario: Scenario = async (loop, log) => {
  const worker = async (name: string, steps: number): Promise<string> => {
    for (let step = 0; step < steps; step++) {
      log(`${name} ${step}`);
      await sleep(0);
    }
    log(`${name} returns`);
    return name;
  };
  const sleeper = async (name: string, ...delays: number[]): Promise<void> => {
    for (const delay of delays) {
      await sleep(delay);
      log(`${name} slept ${delay}`);
    }
  };

  const creation = async (): Promise<void> => {
    log('--- tasks start in the order of their creation, and take turns');
    const tasks = [...'abc'].map((name) => loop.createTask(() => worker(name, 3)));
    log('created');
    for (const task of tasks) log(`result ${await task}`);
  };

  const callbacks = async (): Promise<void> => {
    log('--- callbacks and first steps keep their order');
    loop.callSoon(log, 'callback 1');
    const task = loop.createTask(() => worker('task', 1));
    loop.callSoon(log, 'callback 2');
    await task;
    log('main goes on');
  };

  const done = async (): Promise<void> => {
    log('--- what is done costs no turn');
    const future = loop.createFuture<string>();
    future.setResult('at once');
    const task = loop.createTask(() => worker('other', 1));
    log(await future);
    log(await sleep(0, 'one turn'));
    await task;
    log(await task);
  };

  const wakers = async (): Promise<void> => {
    log('--- who waits for one future is woken in the order of arrival');
    const future = loop.createFuture<string>();
    const waiter = async (name: string): Promise<void> => {
      log(`${name} waits`);
      log(`${name} has ${await future}`);
    };
    const tasks = [...'abc'].map((name) => loop.createTask(() => waiter(name)));
    await sleep(1);
    future.setResult('it');
    log('set');
    await all(tasks);
  };

  const sleepers = async (): Promise<void> => {
    log('--- sleepers wake in the order of their deadlines');
    await all([
      loop.createTask(() => sleeper('a', 3, 1)),
      loop.createTask(() => sleeper('b', 1, 1, 1.5)),
      loop.createTask(() => sleeper('c', 2, 0.25)),
    ]);
  };

  const between = async (): Promise<void> => {
    log('--- a callback between two wake-ups');
    const first = loop.createFuture();
    const second = loop.createFuture();
    const waiter = async (name: string, future: Future): Promise<void> => {
      await future;
      log(`${name} resumed`);
    };
    const tasks = [
      loop.createTask(() => waiter('first', first)),
      loop.createTask(() => waiter('second', second)),
    ];
    await sleep(1);
    first.setResult(null);
    loop.callSoon(log, 'callback');
    second.setResult(null);
    await all(tasks);
  };

  const failures = async (): Promise<void> => {
    log('--- exceptions come out where the task is awaited');
    const inner = async (): Promise<void> => {
      await sleep(0);
      throw new Error('from the inside');
    };
    const task = loop.createTask(async () => {
      try {
        await inner();
      } finally {
        log('finally');
      }
    });
    try {
      await task;
    } catch (error) {
      log(`caught ${words(error)}`);
    }
    log(
      `done ${words(task.done())}, cancelled ${words(task.cancelled())}, exception ${words(task.exception())}`,
    );
  };

  for (const main of [creation, callbacks, done, wakers, sleepers, between, failures])
    await loop.runUntilComplete(main);
};

async function all(tasks: Task[]): Promise<void> {
  for (const task of tasks) await task;
}
