import type { Task } from '../../../src/index.ts';
import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  CancelledError,
  Condition,
  Event,
  Lock,
  Semaphore,
  sleep,
} from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** Lock, Semaphore, Event, Condition, Barrier: the order of the waiters, and the effects of a cancel. */
export const scenario: Scenario = async (loop, log) => {
  const start = (fn: () => Promise<void>): Task<void> => loop.createTask(fn);
  const ended = async (...tasks: Task<void>[]): Promise<void> => {
    for (const task of tasks) {
      try {
        await task;
      } catch (error) {
        if (!(error instanceof CancelledError)) throw error;
        log('CancelledError');
      }
    }
  };
  const holds = async (lock: Lock | Semaphore, name: string, seconds: number): Promise<void> => {
    await lock.acquire();
    try {
      log(`${name} has it`);
      await sleep(seconds);
      log(`${name} lets go`);
    } finally {
      lock.release();
    }
  };
  const refused = (call: () => void, text: string): void => {
    try {
      call();
    } catch {
      log(text);
    }
  };

  const locks = async (): Promise<void> => {
    log('--- a lock is handed over in the order of arrival');
    const lock = new Lock();
    let tasks = [...'abcd'].map((name) => start(() => holds(lock, name, 1)));
    await sleep(0.5);
    log(`locked ${words(lock.locked())}`);
    await ended(...tasks);
    log(`locked ${words(lock.locked())}`);

    log('--- one who is cancelled while he waits is passed over');
    tasks = [...'abc'].map((name) => start(() => holds(lock, name, 1)));
    loop.callLater(0.5, () => tasks[1]?.cancel());
    await ended(...tasks);

    log('--- one who is cancelled while he has it lets go');
    tasks = [...'ab'].map((name) => start(() => holds(lock, name, 2)));
    loop.callLater(0.5, () => tasks[0]?.cancel());
    await ended(...tasks);

    log('--- who lets go and asks again stands behind the others');
    const twice = async (name: string): Promise<void> => {
      for (let i = 0; i < 2; i++) {
        using _guard = await lock.acquire();
        log(`${name} has it`);
        await sleep(0);
      }
    };
    await ended(...[...'abc'].map((name) => start(() => twice(name))));
    refused(() => lock.release(), 'a lock that nobody has cannot be released');
  };

  const semaphores = async (): Promise<void> => {
    log('--- a semaphore lets so many in');
    const semaphore = new Semaphore(2);
    const holders = (...seconds: number[]): Task<void>[] =>
      seconds.map((each, i) => start(() => holds(semaphore, 'abcd'[i] as string, each)));
    let tasks = holders(3, 1, 1.5, 1);
    await sleep(0.5);
    log(`locked ${words(semaphore.locked())}`);
    await ended(...tasks);
    log(`locked ${words(semaphore.locked())}`);

    log('--- a cancelled one passes its place on');
    tasks = holders(1, 1.25, 1, 1);
    loop.callLater(0.5, () => tasks[2]?.cancel());
    await ended(...tasks);

    const bounded = new BoundedSemaphore(1);
    await bounded.acquire();
    bounded.release();
    refused(() => bounded.release(), 'a bounded semaphore cannot be released too often');
  };

  const events = async (): Promise<void> => {
    log('--- an event wakes all who wait, in order');
    const event = new Event();
    const waits = async (name: string): Promise<void> => {
      log(`${name} waits`);
      log(`${name} goes on: ${words(await event.wait())}`);
    };
    const tasks = [...'abc'].map((name) => start(() => waits(name)));
    await sleep(1);
    log(`set ${words(event.isSet())}`);
    event.set();
    event.clear();
    log('set and cleared');
    await ended(...tasks);
    event.set();
    await ended(start(() => waits('d')));
    event.clear();
    log(`set ${words(event.isSet())}`);
  };

  const conditions = async (): Promise<void> => {
    log('--- a condition wakes as many as it is told, one after the other');
    const condition = new Condition();
    let ready = 0;
    const waits = async (name: string): Promise<void> => {
      using _guard = await condition.acquire();
      log(`${name} waits`);
      await condition.wait();
      log(`${name} goes on`);
      await sleep(1);
    };
    const waitsFor = async (name: string, number: number): Promise<void> => {
      using _guard = await condition.acquire();
      await condition.waitFor(() => ready >= number);
      log(`${name} has ${ready}`);
    };
    const notify = async (n: number): Promise<void> => {
      using _guard = await condition.acquire();
      condition.notify(n);
      log(`notified ${n}`);
    };

    const tasks = [...'abcd'].map((name) => start(() => waits(name)));
    await sleep(1);
    await notify(1);
    await sleep(3);
    await notify(2);
    await sleep(5);
    tasks[3]?.cancel();
    await ended(...tasks);

    log('--- wait_for() goes on when its question is answered');
    const askers = [start(() => waitsFor('a', 2)), start(() => waitsFor('b', 1))];
    for (let i = 0; i < 2; i++) {
      await sleep(1);
      using _guard = await condition.acquire();
      ready++;
      condition.notifyAll();
    }
    await ended(...askers);
    refused(() => condition.notify(), 'only who has the lock may notify');
  };

  const barriers = async (): Promise<void> => {
    log('--- a barrier holds all until the last one has come');
    const barrier = new Barrier(3);
    const comes = async (name: string, delay: number): Promise<void> => {
      await sleep(delay);
      log(`${name} comes, ${barrier.nWaiting} wait`);
      await barrier.wait();
      log(`${name} goes on`);
    };
    await ended(
      start(() => comes('a', 3)),
      start(() => comes('b', 1)),
      start(() => comes('c', 2)),
    );
    await sleep(1);
    log('--- a barrier that is aborted');
    const breaks = async (name: string): Promise<void> => {
      try {
        await barrier.wait();
      } catch (error) {
        if (error instanceof BrokenBarrierError) log(`${name} BrokenBarrierError`);
      }
    };
    const tasks = [start(() => breaks('a')), start(() => breaks('b'))];
    await sleep(1);
    await barrier.abort();
    await ended(
      ...tasks,
      start(() => breaks('c')),
    );
    log(`broken ${words(barrier.broken)}`);
  };

  for (const main of [locks, semaphores, events, conditions, barriers]) await loop.runUntilComplete(main);
};
