import { checkOptions, invalidArgType, outOfRange } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { checkLoop } from './current.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

/**
 * The futures that follow a promise and are pending. A reaction to a promise cannot be taken back, so a promise gets
 * one, however often somebody waits for it, and whoever gave up leaves the list: waiting again and again for
 * one long-lived promise, each time with a limit, leaves nothing behind.
 */
const followers: WeakMap<PromiseLike<unknown>, Set<Future<unknown>>> = new WeakMap();

/**
 * Makes a {@link Future} of anything that can be awaited, so that the wait for it can be cancelled.
 *
 * A future is answered as it is. Cancelling the future made of a promise ends the wait; the work behind the promise goes on,
 * and its later failure is nobody's.
 *
 * @param aw a future, a task or a promise
 * @param options `loop`: default is the running loop
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) when it cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) when it is a future of another loop than the one named
 *
 * @example
 * ```ts
 * import { ensureFuture, run, waitFor } from 'gyre';
 *
 * await run(async () => {
 *   const slow = new Promise<never>(() => {});
 *   await waitFor(ensureFuture(slow), 0.01).catch((error) => console.log(error.name)); // TimeoutError
 * });
 * ```
 */
export function ensureFuture<T>(aw: Awaitable<T>, options: { loop?: Loop } = {}): Future<T> {
  checkOptions('options', options, ['loop']);
  const named = options.loop;
  if (named !== undefined) checkLoop('options.loop', named);
  if (aw instanceof Future) {
    if (named === undefined || aw._loop === named) return aw;
    throw outOfRange('aw', aw, 'a future of this loop, not of another one');
  }
  if (!isAwaitable(aw)) throw invalidArgType('aw', aw, 'a future, a task or a promise');
  const future = new Future<T>(named ?? runningLoop());
  follow(future as Future<unknown>, aw);
  return future;
}

export function isAwaitable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

function follow(future: Future<unknown>, aw: PromiseLike<unknown>): void {
  const known = followers.get(aw);
  const list = known ?? new Set();
  list.add(future);
  future._onSettled = () => list.delete(future);
  if (known !== undefined) return;
  followers.set(aw, list);
  const fail = (error: unknown): void => {
    followers.delete(aw);
    for (const follower of list) follower._fail(error);
  };
  try {
    aw.then((value) => {
      followers.delete(aw);
      for (const follower of list) follower._settle('result', value);
    }, fail);
  } catch (error) {
    fail(error);
  }
}
