/** What a loop still owns, and a test that left something behind. */
import type { BaseEventLoop } from '../event-loop.ts';
import type { Leak } from '../loop/ownership.ts';
import { leakLine } from '../loop/ownership.ts';
import { checkLoop } from '../tasks/current.ts';

/**
 * What a loop still owns: tasks that are not done, connections, servers and lookups, processes that were not
 * reaped, in debug mode locks that are held, and exceptions that nobody has looked at. Each with the task
 * that made it, its age, and in debug mode the stack of its creation. Nothing is ended: closing the loop does
 * that, and reports the same.
 *
 * @param loop open or closed: a closed one owns nothing
 * @returns kind by kind, in order of creation
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
 * Throws when a loop still runs or still owns something: see {@link leaks}. For the end of each test, before
 * its loop is closed.
 *
 * The message names each thing that is left, with its owner and age, in debug mode with the stack of its
 * creation. Nothing is ended: closing the loop does that.
 *
 * @param loop the loop of the test
 * @throws Error when something is left
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
