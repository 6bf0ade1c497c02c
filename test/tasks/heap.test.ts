import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import type { Future } from '../../src/index.ts';
import {
  asCompleted,
  FIRST_COMPLETED,
  gather,
  getRunningLoop,
  shield,
  sleep,
  taskGroup,
  timeout,
  wait,
  waitFor,
} from '../../src/index.ts';
import { heapUsed } from '../helpers/gc.ts';
import { simulate } from '../helpers/simulation.ts';
import { outcome, waitersOf } from './helpers.ts';

// Half of the time would go into capturing the stacks of a hundred thousand errors.
Error.stackTraceLimit = 0;

const OPERATIONS = 20_000;
/**
 * Bytes. The heap of a test runner varies by some hundred kilobytes. A waiter or a promise with a reaction
 * left for each operation would be 2 MB or more.
 */
const BREATH = 1_500_000;

/** The typical work of a server: to wait for one thing or its own end, whichever comes first. */
interface LongLived {
  future: Future<void>;
  promise: Promise<void>;
  signal: AbortSignal;
}

const operations: Record<string, (longLived: LongLived) => PromiseLike<unknown>> = {
  'wait for the first, of a future': ({ future }) => wait([future, done()], { returnWhen: FIRST_COMPLETED }),
  'wait for the first, of a promise': ({ promise }) =>
    wait([promise, done()], { returnWhen: FIRST_COMPLETED }),
  'wait with a timeout': ({ future, promise }) => wait([future, promise], { timeout: 0 }),
  'wait with a signal': ({ future, signal }) => wait([future], { timeout: 0, signal }),
  'shield, cancelled': ({ future }) => {
    const shielded = shield(future);
    shielded.cancel();
    return outcome(shielded);
  },
  'a task that is cancelled': async ({ future }) => {
    const task = getRunningLoop().createTask(async () => shield(future), { eager: true });
    await sleep(0);
    task.cancel();
    return outcome(task);
  },
  'waitFor of a shield': ({ future, signal }) => outcome(waitFor(shield(future), 0, { signal })),
  'waitFor of a promise': ({ promise }) => outcome(waitFor(promise, 0)),
  'waitFor in time': ({ signal }) => waitFor(sleep(0), 100, { signal }),
  'sleep with a signal': ({ signal }) => sleep(0, null, { signal }),
  'gather that fails': ({ future, promise }) => outcome(gather(future, promise, Promise.reject(REFUSED))),
  asCompleted: async ({ future, promise, signal }) => {
    for await (const aw of asCompleted([future, promise, done()], { timeout: 100, signal })) return aw;
    return null;
  },
  timeout: ({ signal }) => timeout(100, () => sleep(0), { signal }),
  'a race with a loser': async () => {
    // biome-ignore lint/plugin: losers of races are the subject
    await Promise.race([null, sleep(0)]);
    await sleep(0);
  },
  'handlers that nobody awaits': async () => {
    const nap = sleep(0);
    void nap.catch(() => {});
    void nap.then(() => {});
    void nap.finally(() => {});
    await nap;
  },
  'a chain of handlers': () =>
    sleep(0)
      .then(() => {})
      .catch(() => {})
      .finally(() => {}),
  'a limit over a native promise': () => outcome(timeout(0, () => Promise.resolve())),
  taskGroup: ({ signal }) =>
    taskGroup(
      async (group) => {
        group.createTask(() => sleep(0), { eager: true });
      },
      { signal },
    ),
};

const REFUSED = new Error('refused');

function done(): Future<void> {
  return sleep(0);
}

for (const [name, start] of Object.entries(operations)) {
  test(`${OPERATIONS} times "${name}" on a long-lived future leaves nothing on it, and the heap stays flat`, () =>
    simulate(async (loop) => {
      const { signal } = new AbortController();
      const longLived: LongLived = { future: loop.createFuture(), promise: new Promise(() => {}), signal };
      const rounds = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) await start(longLived);
      };
      await rounds(1000);
      const before = await heapUsed();
      await rounds(OPERATIONS);
      const grown = (await heapUsed()) - before;
      assert.ok(grown < BREATH, `${grown} bytes more after ${OPERATIONS} operations`);
      assert.equal(waitersOf(longLived.future), 0);
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      assert.equal(loop._scheduler.timers.size, 0);
      assert.equal(loop._owned.unretrieved.size, 0);
      longLived.future.cancel();
    }));
}
