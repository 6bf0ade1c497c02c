/** Reports the objects that a loop still owns, and fails a test that left some behind. */
import type { BaseEventLoop } from '../event-loop.ts';
import type { Leak } from '../loop/ownership.ts';
import { leakLine } from '../loop/ownership.ts';
import { checkLoop } from '../tasks/current.ts';

/**
 * Returns the objects that a loop still owns: pending tasks, connections, servers, lookups, processes that
 * were not reaped, exceptions that were never retrieved, and in debug mode held locks. Each has the task that
 * created it, its age, and in debug mode the stack of its creation. This function ends nothing. Closing the
 * loop ends the objects and reports the same leaks.
 *
 * @param loop an open or closed loop; a closed loop owns nothing
 * @returns the leaks, grouped by kind, each group in order of creation
 *
 * @example
 * ```ts
 * import { Protocol, newEventLoop } from 'gyre';
 * import { leaks } from 'gyre/testing';
 *
 * const loop = newEventLoop();
 * await loop.runUntilComplete(async () => {
 *   const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
 *   console.log(leaks(loop).map(({ kind }) => kind)); // [ 'task', 'handle' ]: this task, and the server
 *   server.close();
 * });
 * console.log(leaks(loop)); // []
 * loop.close();
 * ```
 */
export function leaks(loop: BaseEventLoop): Leak[] {
  checkLoop('loop', loop);
  return loop._owned.leaks();
}

/**
 * Throws if a loop is still running or still owns an object: see {@link leaks}. Call it at the end of each
 * test, before closing the loop.
 *
 * The message lists each object with its owner and age, and in debug mode with the stack of its creation.
 * This function ends nothing; closing the loop does.
 *
 * @param loop the loop of the test
 * @throws Error if anything is left
 *
 * @example
 * ```ts
 * import { sleep } from 'gyre';
 * import { SimulatedEventLoop } from 'gyre/sim';
 * import { checkLoopEmpty } from 'gyre/testing';
 * import { afterEach, beforeEach, test } from 'node:test';
 *
 * let loop: SimulatedEventLoop;
 * beforeEach(() => {
 *   loop = new SimulatedEventLoop();
 * });
 * afterEach(() => {
 *   try {
 *     checkLoopEmpty(loop);
 *   } finally {
 *     loop.close();
 *   }
 * });
 *
 * test('an hour passes', () => loop.runUntilComplete(() => sleep(3600)));
 * ```
 */
export function checkLoopEmpty(loop: BaseEventLoop): void {
  checkLoop('loop', loop);
  const left = loop.isRunning() ? ['it is still running'] : [];
  left.push(...leaks(loop).map(leakLine));
  if (left.length > 0) throw new Error(`the event loop is not empty:\n  ${left.join('\n  ')}`);
}
