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
 * Waits for one thing, at most so long. When the time is over it is cancelled, its end awaited, and {@link
 * TimeoutError} thrown.
 *
 * It waits until the cancelled one has really ended. If that gives a result or another error instead, this is
 * what `waitFor` gives. To let it go on, wait for `shield(aw)`; of a promise only the wait ends.
 *
 * @param aw a future, a task or a promise
 * @param seconds zero or less: cancelled at once, unless it is done; null: no limit
 * @param options `signal`
 * @returns a future of the result
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) when it cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) when it belongs to another loop, for a NaN
 *
 * **Cancellation** is passed on to `aw`. If cancel and deadline come together it is the cancel that is
 * thrown.
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
  // Nothing to wait for: a cancel that is due stays for the caller's next wait.
  if (future.done()) return future;
  return cancelOnAbort(seconds === null || seconds > 0 ? limited(future, seconds) : ended(future), signal);
}

function limited<T>(future: Future<T>, seconds: number | null): Future<T> {
  const limit = new Limit(future._loop, () => future, 'waitFor');
  if (seconds !== null) limit.expireAt(future._loop.time() + seconds);
  limit._run();
  return limit;
}

/** There is no time: it is cancelled now, and its end awaited, as in asyncio. */
function ended<T>(future: Future<T>): Future<T> {
  const reason = 'the deadline has passed';
  const limit: Limit<T> = new Limit(future._loop, () => cancelAndWait(future, reason), 'waitFor');
  limit.expireNow(reason);
  limit._run();
  return limit;
}

/**
 * Not for the future itself: a cancel from outside ends this wait, and is not taken for the one that was sent
 * before.
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
