import { invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { Future } from './future.ts';
import type { Awaitable } from './future.ts';

/**
 * Makes a {@link Future} of anything that can be awaited, so that the wait for it can be cancelled.
 *
 * A future is answered as it is. Cancelling the future made of a promise ends the wait; the work behind the promise goes on,
 * and its later failure is nobody's.
 *
 * @param aw a future or a promise
 * @param options `loop`: default is the running loop
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) when it cannot be awaited
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
  if (aw instanceof Future) return aw;
  if (!isAwaitable(aw)) throw invalidArgType('aw', aw, 'a future, a task or a promise');
  const future = new Future<T>(options.loop ?? runningLoop());
  aw.then(
    (value) => {
      if (!future.done()) future._settle('result', value);
    },
    (error) => {
      if (!future.done()) future._fail(error);
    },
  );
  return future;
}

export function isAwaitable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
