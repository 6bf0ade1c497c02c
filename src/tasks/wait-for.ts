import type { CancelledError } from '../base/errors.ts';
import { checkOptions, checkSecondsOrNull, checkSignal } from '../base/validate.ts';
import type { SignalOptions } from './abort-signal.ts';
import { abortError, cancelOnAbort } from './abort-signal.ts';
import { cancelNow } from './cancellation.ts';
import { collectOne } from './collect.ts';
import { DoneCallback } from './done-callback.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';
import { Limit } from './limit.ts';

/**
 * Waits for an awaitable for at most `seconds`. After that time it cancels the awaitable, waits for its end,
 * and throws {@link TimeoutError}.
 *
 * `waitFor` waits until the cancelled awaitable has really ended. If it ends with a result or another error,
 * `waitFor` returns or throws that instead. To let the awaitable continue, pass `shield(aw)`. For a promise,
 * only the wait ends.
 *
 * @param aw a future, a task or a promise
 * @param seconds zero or less: cancel at once, unless `aw` is done; null: no limit
 * @param options `signal`
 * @returns a future of the result
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if `aw` cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) if `aw` belongs to another loop, or `seconds` is NaN
 *
 * **Cancellation** is passed on to `aw`. If a cancel and the deadline come together, the cancel is thrown.
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
  // There is nothing to wait for. A due cancel is kept for the caller's next wait.
  if (future.done()) return future;
  const limit = seconds === null || seconds > 0 ? limited(future, seconds) : ended(future, seconds);
  return cancelOnAbort(limit, signal);
}

function limited<T>(future: Future<T>, seconds: number | null): Future<T> {
  const limit = new Limit(future._loop, () => future, 'waitFor', seconds, future);
  if (seconds !== null) limit.expireAt(future._loop.time() + seconds);
  limit._run();
  return limit;
}

/** The time is already over: cancels the future now and waits for its end, as in asyncio. */
function ended<T>(future: Future<T>, seconds: number): Future<T> {
  const reason = `waitFor() has expired after ${seconds} s`;
  const limit: Limit<T> = new Limit(
    future._loop,
    () => cancelAndWait(future, reason),
    'waitFor',
    seconds,
    future,
  );
  limit.expireNow(reason);
  limit._run();
  return limit;
}

/**
 * Waits for the end without awaiting the future itself. So a cancel from outside ends only this wait, and is
 * not mistaken for the cancel that was sent before.
 */
async function cancelAndWait<T>(future: Future<T>, reason: string): Promise<T> {
  const over = new Future<void>(future._loop);
  const callback = new DoneCallback(future as Future<unknown>, () => over._settle('result', undefined));
  cancelNow(future, reason);
  try {
    await over;
  } finally {
    callback.remove();
  }
  return future;
}

function neverBegun<T>(future: Future<T>, error: CancelledError): Future<T> {
  cancelNow(future, error);
  const cancelled = new Future<T>(future._loop);
  cancelNow(cancelled, error);
  return cancelled;
}
