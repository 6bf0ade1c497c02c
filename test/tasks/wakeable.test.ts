import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Condition, Event, Lock, Queue, Semaphore, sleep } from '../../src/index.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome } from './helpers.ts';

/** Starts a wait, and returns the function that ends it. */
interface Case {
  wait: () => PromiseLike<unknown>;
  wake: () => void;
}

const cases: Record<string, () => Case> = {
  'a Lock': () => {
    const lock = new Lock();
    const held = lock.acquire().result();
    return { wait: () => lock.acquire(), wake: () => held[Symbol.dispose]() };
  },
  'a Semaphore': () => {
    const semaphore = new Semaphore(0);
    return { wait: () => semaphore.acquire(), wake: () => semaphore.release() };
  },
  'a Queue': () => {
    const queue = new Queue<number>();
    return { wait: () => queue.get(), wake: () => queue.putNowait(1) };
  },
  'an Event': () => {
    const event = new Event();
    return { wait: () => event.wait(), wake: () => event.set() };
  },
  'sleep(0)': () => ({ wait: () => sleep(0), wake: () => {} }),
};

for (const [name, make] of Object.entries(cases)) {
  test(`a waiter of ${name} that is woken and then cancelled ends in the turn of its wake-up`, () =>
    simulate(async (loop) => {
      const { wait, wake } = make();
      const log: string[] = [];
      const task = loop.createTask(() => outcome(wait()).then((how) => log.push(how)));
      await new Promise<void>((resolve) => {
        loop.callSoon(() => {
          wake();
          loop.callSoon(() => {
            log.push('callback');
            resolve();
          });
          task.cancel();
        });
      });
      assert.deepEqual(log, ['CancelledError', 'callback']);
    }));
}

test('a waiter of a condition that is woken and then cancelled holds its lock when it ends', () =>
  simulate(async (loop) => {
    const condition = new Condition();
    const task = loop.createTask(async () => {
      using _ = await condition.acquire();
      await condition.wait();
    });
    await sleep(0);
    await sleep(0);
    {
      using _ = await condition.acquire();
      condition.notify();
    }
    task.cancel();
    assert.equal(await outcome(task), 'CancelledError');
    assert.equal(condition.locked(), false);
  }));
