import { CancelledError, TimeoutError } from '../base/errors.ts';
import { checkOptions, checkSecondsOrNull, checkSignal } from '../base/validate.ts';
import type { SignalOptions } from './abort-signal.ts';
import { abortError, cancelOnAbort } from './abort-signal.ts';
import { collectOne } from './collect.ts';
import { requireTask } from './current.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';
import { operation } from './task.ts';
import { timeout } from './timeout.ts';

/**
 * Waits for one thing, at most so long. When the time is over it is cancelled, its end awaited, and {@link TimeoutError} thrown.
 *
 * It waits until the cancelled one has really ended. If that gives a result or another error instead, this is what
 * `waitFor` gives. To let it go on, wait for `shield(aw)`; of a promise only the wait ends.
 *
 * @param aw a future, a task or a promise
 * @param seconds zero or less: cancelled at once, unless it is done; null: no limit
 * @param options `signal`
 * @returns a future of the result
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) when it cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) when it belongs to another loop, for a NaN
 *
 * **Cancellation** is passed on to `aw`. If cancel and deadline come together it is the cancel that is thrown.
 *
 * @example
 * ```ts
 * import { run, sleep, TimeoutError, waitFor } from 'gyre';
 *
 * await run(async () => {
 *   console.log(await waitFor(sleep(0.01, 'in time'), 5));
 *   await waitFor(sleep(3600), 0.01).catch((error) => console.log(error instanceof TimeoutError)); // true
 * });
 * ```
 */
export function waitFor<T>(aw: Awaitable<T>, seconds: number | null, options: SignalOptions = {}): Future<T> {
  checkSecondsOrNull('seconds', seconds);
  checkOptions('options', options, ['signal']);
  const signal = options.signal;
  checkSignal('options.signal', signal);
  const future = collectOne(aw);
  if (signal?.aborted) return neverBegun(future, abortError(signal));
  // A task of its own: its deadline cancels this wait, and nothing else that the caller is waiting for.
  return cancelOnAbort(
    operation(future._loop, 'waitFor', () => limited(future, seconds)),
    signal,
  );
}

function limited<T>(future: Future<T>, seconds: number | null): Promise<T> {
  if (seconds === null || future.done()) return future;
  return seconds > 0 ? timeout(seconds, () => future) : cancelNow(future);
}

/** Not even one turn more, as in asyncio. */
async function cancelNow<T>(future: Future<T>): Promise<T> {
  const task = requireTask('waitFor');
  future._cancel('the deadline has passed');
  try {
    return await future;
  } catch (error) {
    if (!(error instanceof CancelledError) || task.cancelling() > 0) throw error;
    throw new TimeoutError('timed out: there was no time to wait', { cause: error });
  }
}

function neverBegun<T>(future: Future<T>, error: CancelledError): Future<T> {
  future._cancel(error);
  const cancelled = new Future<T>(future._loop);
  cancelled._cancel(error);
  return cancelled;
}
