import type { Task } from '../../../src/index.ts';
import {
  CancelledError,
  LifoQueue,
  PriorityQueue,
  Queue,
  QueueEmpty,
  QueueFull,
  sleep,
} from '../../../src/index.ts';
import type { Scenario } from '../scenario.ts';
import { words } from '../scenario.ts';

/** Queues: the order of items and of waiters, limits, join(), cancellation. */
export const scenario: Scenario = async (loop, log) => {
  const gets = async (queue: Queue, name: string, count: number, pause = 0): Promise<void> => {
    for (let i = 0; i < count; i++) {
      log(`${name} got ${await queue.get()}`);
      await sleep(pause);
    }
  };
  const puts = async (queue: Queue, name: string, items: unknown[], pause = 0): Promise<void> => {
    for (const item of items) {
      await queue.put(item);
      log(`${name} put ${item}`);
      await sleep(pause);
    }
  };
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
  const start = (fn: () => Promise<void>): Task<void> => loop.createTask(fn);

  const order = async (): Promise<void> => {
    log('--- who waits gets, in the order of arrival');
    const queue = new Queue();
    const getters = [...'abc'].map((name) => start(() => gets(queue, name, 1)));
    await sleep(1);
    for (let item = 0; item < 3; item++) queue.putNowait(item);
    log(`size ${queue.qsize()}`);
    await ended(...getters);
    log(`size ${queue.qsize()}, empty ${words(queue.empty())}, full ${words(queue.full())}`);
  };

  const limits = async (): Promise<void> => {
    log('--- a full queue holds who puts');
    const queue = new Queue(2);
    const putters = [...'abc'].map((name) => start(() => puts(queue, name, [`${name}0`, `${name}1`])));
    await sleep(1);
    log(`size ${queue.qsize()}, full ${words(queue.full())}`);
    try {
      queue.putNowait('too much');
    } catch (error) {
      if (error instanceof QueueFull) log('QueueFull');
    }
    const getter = start(() => gets(queue, 'getter', 6, 1));
    await ended(...putters, getter);
    try {
      queue.getNowait();
    } catch (error) {
      if (error instanceof QueueEmpty) log('QueueEmpty');
    }
  };

  const kinds = async (): Promise<void> => {
    for (const Kind of [Queue, LifoQueue, PriorityQueue]) {
      log(`--- ${Kind.name}`);
      const queue = new Kind<number>();
      for (const item of [3, 1, 4, 1, 5]) queue.putNowait(item);
      log(Array.from({ length: 5 }, () => queue.getNowait()).join(' '));
    }
  };

  const joining = async (): Promise<void> => {
    log('--- join() waits for each task_done()');
    const queue = new Queue<number>();
    const worker = async (): Promise<void> => {
      for (;;) {
        const item = await queue.get();
        await sleep(1);
        log(`worked on ${item}`);
        queue.taskDone();
      }
    };
    const workers = [start(worker), start(worker)];
    for (let item = 0; item < 5; item++) queue.putNowait(item);
    await queue.join();
    log('joined');
    for (const one of workers) one.cancel();
    await ended(...workers);
    try {
      queue.taskDone();
    } catch {
      log('task_done() called too often');
    }
  };

  const cancelling = async (): Promise<void> => {
    log('--- a cancelled getter loses no item');
    let queue = new Queue();
    const getters = [...'abc'].map((name) => start(() => gets(queue, name, 1)));
    await sleep(1);
    getters[0]?.cancel();
    queue.putNowait(1);
    queue.putNowait(2);
    await ended(...getters);

    log('--- a cancelled putter puts nothing');
    queue = new Queue(1);
    const putters = [...'abc'].map((name) => start(() => puts(queue, name, [name])));
    await sleep(1);
    putters[1]?.cancel();
    await sleep(1);
    await gets(queue, 'getter', 2, 1);
    await ended(...putters);
  };

  const relay = async (): Promise<void> => {
    log('--- one item at a time, from hand to hand');
    const first = new Queue(1);
    const second = new Queue(1);
    const passes = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        const item = await first.get();
        log(`passes ${item}`);
        await second.put(item);
      }
    };
    await ended(
      start(() => puts(first, 'putter', [0, 1, 2])),
      start(passes),
      start(() => gets(second, 'getter', 3)),
    );
  };

  for (const main of [order, limits, kinds, joining, cancelling, relay]) await loop.runUntilComplete(main);
};
