/** `gyre/testing`: what a test needs to see that it left nothing behind. */
import type { BaseEventLoop } from '../event-loop.ts';
import { originOf } from '../loop/origins.ts';

/**
 * Throws when a loop still runs or still owns something: a pending task, a transport, a server, an exception that nobody has
 * looked at. For the end of each test, before its loop is closed.
 *
 * The message names each thing that is left, in debug mode with the stack of its creation. Nothing is ended: closing the loop
 * does that.
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
  const left = loop.isRunning() ? ['it is still running'] : [];
  const { tasks, resources, unretrieved } = loop._owned;
  for (const owned of [...tasks, ...resources]) left.push(line(owned._describe(), originOf(owned)));
  for (const { context } of unretrieved) {
    left.push(line(`${context.message}: ${String(context.exception)}`, context.sourceTraceback ?? null));
  }
  if (left.length > 0) throw new Error(`the event loop is not empty:\n  ${left.join('\n  ')}`);
}

function line(what: string, origin: string | null): string {
  return origin === null ? what : `${what}, created at\n${origin}`;
}
