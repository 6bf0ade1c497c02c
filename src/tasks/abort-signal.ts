/**
 * The `signal` option: an abort cancels the operation, and the listener is removed when the operation ends.
 */
import { CancelledError } from '../base/errors.ts';
import { cancelNow } from './cancellation.ts';
import type { Future } from './future.ts';

/** Options that every waiting operation accepts. */
export interface SignalOptions {
  /** Aborting it cancels the operation with a `CancelledError` whose `cause` is `signal.reason`. */
  signal?: AbortSignal;
}

export function abortError(signal: AbortSignal): CancelledError {
  return new CancelledError('the operation was aborted by its signal', { cause: signal.reason });
}

/**
 * Calls `callback` when `signal` aborts, or at once if it is already aborted. Returns a function that removes
 * the listener.
 */
export function onAbort(
  signal: AbortSignal | undefined,
  callback: (error: CancelledError) => void,
): () => void {
  if (signal === undefined) return noListener;
  if (signal.aborted) {
    callback(abortError(signal));
    return noListener;
  }
  // Return nothing: Node rethrows the rejection of a promise that a listener returns.
  const listener = (): void => callback(abortError(signal));
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/**
 * Cancels `future` when `signal` aborts, and returns `future`. Call it once for a future, right after its
 * creation.
 */
export function cancelOnAbort<F extends Future<unknown>>(future: F, signal: AbortSignal | undefined): F {
  if (signal === undefined || future.done()) return future;
  return whenSettled(
    future,
    onAbort(signal, (error) => cancelNow(future, error)),
  );
}

/** Calls `callback` when `future` settles, or at once if it is already settled. Returns the future. */
export function whenSettled<F extends Future<unknown>>(future: F, callback: () => void): F {
  if (callback === noListener) return future;
  if (future.done()) {
    callback();
    return future;
  }
  const previous = future._onSettled;
  future._onSettled = () => {
    previous?.();
    callback();
  };
  return future;
}

function noListener(): void {}
