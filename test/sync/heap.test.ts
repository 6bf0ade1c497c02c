import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Barrier, Condition, Event, getRunningLoop, Lock, Queue, Semaphore, sleep } from '../../src/index.ts';
import { heapUsed } from '../helpers/gc.ts';
import { inSimulation } from '../helpers/simulation.ts';
import { listeners } from './helpers.ts';

// Half of the time would go into capturing the stacks of hundreds of thousands of errors.
Error.stackTraceLimit = 0;

const ROUNDS = 250;
const PER_ROUND = 1_000;
/** In bytes. One pointer for each operation would be twice as much. */
const FLAT_BYTES = 1024 * 1024;

/**
 * Does `operation` 250,000 times and cancels the returned futures in every way: by hand, by a signal
 * that lives as long as the program, before and after the wake-up. Checks that neither memory nor listeners
 * are left.
 */
async function checkFlat(
  operation: (i: number, signal: AbortSignal) => { cancel(): unknown },
  wake: () => void,
  rounds: number = ROUNDS,
): Promise<void> {
  const longLived = new AbortController();
  const round = async (): Promise<void> => {
    const started: { cancel(): unknown }[] = [];
    for (let i = 0; i < PER_ROUND; i++) started.push(operation(i, longLived.signal));
    for (let i = 0; i < PER_ROUND; i += 2) started[i]?.cancel();
    wake();
    for (const one of started) one.cancel();
    // Virtual time moves when nothing is ready.
    await sleep(1);
  };
  for (let i = 0; i < rounds / 10; i++) await round();
  const before = await heapUsed();
  for (let i = 0; i < rounds; i++) await round();
  const grown = (await heapUsed()) - before;
  assert.equal(listeners(longLived.signal), 0, 'a listener was left on the signal');
  assert.ok(grown < FLAT_BYTES, `the heap grew by ${grown} bytes in ${rounds * PER_ROUND} operations`);
}

/**
 * Passes a signal every tenth time: a thousand listeners at once on one signal would be slow in Node itself.
 */
function some(i: number, signal: AbortSignal): { signal?: AbortSignal } {
  return i % 10 === 0 ? { signal } : {};
}

test(
  '250,000 cancelled waits for a Lock that is never free leave nothing behind',
  inSimulation(async () => {
    const lock = new Lock();
    await lock.acquire();
    await checkFlat(
      (i, signal) => lock.acquire(some(i, signal)),
      () => {},
    );
  }),
);

test(
  '250,000 hand-overs of a Lock, half of them cancelled at the wake-up, leave nothing behind',
  inSimulation(async () => {
    const lock = new Lock();
    await checkFlat(
      (i, signal) => lock.acquire(some(i, signal)),
      () => {
        if (lock.locked()) lock.release();
      },
    );
  }),
);

test(
  '250,000 waits for a Semaphore leave nothing behind',
  inSimulation(async () => {
    const semaphore = new Semaphore(0);
    await checkFlat(
      (i, signal) => semaphore.acquire(some(i, signal)),
      () => {
        if (!semaphore.locked()) void semaphore.acquire();
        semaphore.release();
      },
    );
  }),
);

test(
  '250,000 waits for an Event leave nothing behind',
  inSimulation(async () => {
    const event = new Event();
    await checkFlat(
      (i, signal) => event.wait(some(i, signal)),
      () => {
        event.set();
        event.clear();
      },
    );
  }),
);

test(
  '25,000 waits for a Condition leave nothing behind',
  inSimulation(async () => {
    const condition = new Condition();
    const wait = async (i: number, signal: AbortSignal): Promise<void> => {
      using _ = await condition.acquire();
      if (i % 2 === 0) await condition.wait(some(i, signal));
      else await condition.waitFor(() => false, some(i, signal));
    };
    await checkFlat(
      (i, signal) => getRunningLoop().createTask(() => wait(i, signal), { eager: true }),
      () => {
        const holding = condition.acquire();
        if (holding.done()) {
          condition.notifyAll();
          condition.release();
        } else {
          holding.cancel();
        }
      },
      // Each of them acquires the lock again, in a turn of its own.
      ROUNDS / 10,
    );
  }),
);

test(
  '250,000 waits for a Barrier leave nothing behind',
  inSimulation(async () => {
    const barrier = new Barrier(10);
    await checkFlat(
      (i, signal) => barrier.wait(some(i, signal)),
      () => void barrier.reset(),
    );
  }),
);

test(
  '250,000 gets and puts of a Queue leave nothing behind',
  inSimulation(async () => {
    const queue = new Queue<object>(1);
    queue.putNowait({});
    await checkFlat(
      (i, signal) => queue.put({}, some(i, signal)),
      () => queue.getNowait(),
    );
    if (!queue.empty()) queue.getNowait();
    await checkFlat(
      (i, signal) => (i === 500 ? queue.join(some(i, signal)) : queue.get(some(i, signal))),
      () => {
        if (!queue.full()) queue.putNowait({});
      },
    );
  }),
);
