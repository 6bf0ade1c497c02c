/**
 * Futures that are done when they are returned. Most acquires, gets, reads and drains do not have to wait.
 */
import { checkOptions, checkSignal } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import { abortError } from './abort-signal.ts';
import { cancelNow } from './cancellation.ts';
import { Future } from './future.ts';

const SIGNAL_OPTIONS = ['signal'];

/** Returns a completed future. Awaiting it costs no turn. */
export function succeeded<T>(loop: Loop, value: T): Future<T> {
  const future = new Future<T>(loop);
  future._state = 'result';
  future._value = value;
  return future;
}

const dones: WeakMap<Loop, Future<void>> = new WeakMap();

/**
 * Returns the loop's shared, already completed future without a result.
 *
 * It is a host promise inside, so that `await` continues after one microtask instead of three and creates no
 * other promise. This saves a fifth of the cost of a loop of read, write and drain. A pending future must not
 * be a host promise, because its task could not be cancelled.
 */
export function done(loop: Loop): Future<void> {
  const known = dones.get(loop);
  if (known !== undefined) return known;
  const promise = Object.assign(Promise.resolve(), succeeded<void>(loop, undefined));
  // `await` checks this property.
  Object.defineProperty(promise, 'constructor', { value: Promise });
  const future: Future<void> = Object.setPrototypeOf(promise, Future.prototype);
  dones.set(loop, future);
  return future;
}

export function failed<T = never>(loop: Loop, error: unknown): Future<T> {
  const future = new Future<T>(loop);
  future._fail(error);
  return future;
}

/** Returns the future for a signal that was aborted before the call: the operation does nothing. */
export function aborted<T = never>(loop: Loop, signal: AbortSignal): Future<T> {
  const future = new Future<T>(loop);
  cancelNow(future, abortError(signal));
  return future;
}

/** Returns the checked signal of a waiting method's options. */
export function signalOf(options: SignalOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  checkOptions('options', options, SIGNAL_OPTIONS);
  checkSignal('options.signal', options.signal);
  return options.signal;
}
