/** Helpers of the tests of tasks. */
import assert from 'node:assert/strict';
import type { BaseEventLoop } from '../../src/event-loop.ts';

/** Returns how something ended, in one word. */
export function outcome(promise: PromiseLike<unknown>): Promise<string> {
  return Promise.resolve(promise).then(
    (value) => `result ${String(value)}`,
    (error: unknown) => (error instanceof Error ? describe(error) : `threw ${String(error)}`),
  );
}

function describe(error: Error): string {
  return error.name === 'Error' ? `error ${error.message}` : error.name;
}

/** Returns a native promise, which no cancel can interrupt, for `seconds` of the loop's time. */
export function native(loop: BaseEventLoop, seconds: number): Promise<void> {
  return new Promise((resolve) => {
    loop.callLater(seconds, () => resolve());
  });
}

/** A callback that must not be called. */
export function unexpected(value: unknown): never {
  assert.fail(`not expected: ${String(value)}`);
}

/** Returns the waiters that are left on a future. */
export function waitersOf(future: { _eachWaiter(): Iterable<unknown> }): number {
  return [...future._eachWaiter()].length;
}
