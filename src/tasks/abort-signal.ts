/**
 * `signal` options: an aborted signal cancels the future, and the listener goes when the future is done.
 */
import { CancelledError } from '../base/errors.ts';
import type { Future } from './future.ts';

/** What every operation that waits accepts. */
export interface SignalOptions {
  /** Aborting it cancels the operation with a `CancelledError` whose `cause` is `signal.reason`. */
  signal?: AbortSignal;
}

export function abortError(signal: AbortSignal): CancelledError {
  return new CancelledError('the operation was aborted', { cause: signal.reason });
}

/** Ties `future` to `signal` and answers it. To be called once for a future, right after it was made. */
export function cancelOnAbort<F extends Future<unknown>>(future: F, signal: AbortSignal | undefined): F {
  if (signal === undefined || future.done()) return future;
  if (signal.aborted) {
    future._cancel(abortError(signal));
    return future;
  }
  // Answers nothing: Node rethrows the rejection of a promise that a listener returns.
  const onAbort = (): void => {
    future._cancel(abortError(signal));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const previous = future._onSettled;
  future._onSettled = () => {
    previous?.();
    signal.removeEventListener('abort', onAbort);
  };
  return future;
}
