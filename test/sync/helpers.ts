/** Helpers of the tests of the primitives. */

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { BaseEventLoop, Future, Task } from '../../src/index.ts';
import {
  CancelledError,
  getRunningLoop,
  InvalidStateError,
  LoopError,
  newEventLoop,
} from '../../src/index.ts';
import { turns } from '../helpers/simulation.ts';

/** Starts a task; its first step runs in the next turn. */
export function spawn<T>(fn: () => Promise<T>): Task<T> {
  return getRunningLoop().createTask(fn);
}

export function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

/** The shape of a CancelledError, with the cause that an aborted signal adds. */
export function isAbort(reason: unknown): (error: unknown) => boolean {
  return (error) => error instanceof CancelledError && error.cause === reason;
}

/**
 * Checks the three effects of a signal on a waiting method. `wait` must wait each time it is called. `free`
 * makes its resource available; an aborted signal must leave that alone, which `untouched` checks.
 */
export async function checkSignals(
  wait: (options: { signal: AbortSignal }) => Future<unknown>,
  free: () => void,
  untouched: () => boolean,
): Promise<void> {
  const reason = new Error('enough');
  const controller = new AbortController();
  const waiting = wait({ signal: controller.signal });
  await turns();
  assert.equal(listeners(controller.signal), 1);
  controller.abort(reason);
  await assert.rejects(async () => await waiting, isAbort(reason));
  assert.equal(listeners(controller.signal), 0);

  const unused = new AbortController();
  const success = wait({ signal: unused.signal });
  free();
  await success;
  assert.equal(listeners(unused.signal), 0, 'the listener goes when the wait is over');

  free();
  await assert.rejects(async () => await wait({ signal: controller.signal }), isAbort(reason));
  assert.ok(untouched(), 'an aborted signal takes nothing');
  assert.equal(listeners(controller.signal), 0);
}

/** Checks the options that every waiting method rejects at the call. */
export function checkOptionsRefused(wait: (options: never) => unknown): void {
  const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const options of [null, 1, 'signal', [], { signal: 1 }, { signal: null }, { timeout: 1 }]) {
    assert.throws(() => wait(options as never), refused, `options ${JSON.stringify(options)}`);
  }
}

export function checkNeedsLoop(wait: () => unknown): void {
  assert.throws(wait, (error) => error instanceof LoopError && error.code === 'ERR_NO_RUNNING_LOOP');
}

/**
 * Checks that a primitive serves one loop at a time: while a task of one loop waits, tasks of another loop
 * cannot. Waiters that a closed loop left behind do not count.
 */
export async function checkOneLoop(name: string, wait: () => Future<unknown>): Promise<void> {
  const first = newEventLoop();
  const second = newEventLoop();
  const refused = (error: unknown): boolean =>
    error instanceof InvalidStateError && error.message.includes(name);
  first.setExceptionHandler(() => {});
  const waits = async (): Promise<void> => {
    await wait();
  };
  // In an array, because an async function would wait for a returned task.
  const begin = async (loop: BaseEventLoop): Promise<[Task<void>]> => {
    const task = loop.createTask(waits);
    await loop.runUntilComplete(() => turns(2));
    return [task];
  };
  const [stuck] = await begin(first);
  assert.equal(stuck.done(), false);
  await assert.rejects(second.runUntilComplete(waits), refused);
  first.close();
  const [task] = await begin(second);
  assert.equal(task.done(), false, 'waits in the place of those whose loop is gone');
  task.cancel();
  await second.runUntilComplete(() => task.catch(() => {}));
  second.close();
}
