/** Futures that are done when they are answered: most acquires, gets, reads and drains need not wait. */
import { checkOptions, checkSignal } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import { abortError } from './abort-signal.ts';
import { cancelNow } from './cancellation.ts';
import { Future } from './future.ts';

const SIGNAL_OPTIONS = ['signal'];

/** What is there already: awaiting it costs no turn. */
export function succeeded<T>(loop: Loop, value: T): Future<T> {
  const future = new Future<T>(loop);
  future._state = 'result';
  future._value = value;
  return future;
}

const dones: WeakMap<Loop, Future<void>> = new WeakMap();

/**
 * What nobody need wait for and that gives nothing: one future of the loop, done for ever.
 *
 * Beneath it is a promise of the host's, so that `await` goes on after one microtask instead of three and
 * makes no promise of its own: a fifth of what a loop of read, write and drain costs. A pending future must
 * not be one, or its task could not be cancelled.
 */
export function done(loop: Loop): Future<void> {
  const known = dones.get(loop);
  if (known !== undefined) return known;
  const promise = Object.assign(Promise.resolve(), succeeded<void>(loop, undefined));
  // What `await` looks at.
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

/** For a signal that was aborted before the call: then nothing is taken, even if it is there. */
export function aborted<T = never>(loop: Loop, signal: AbortSignal): Future<T> {
  const future = new Future<T>(loop);
  cancelNow(future, abortError(signal));
  return future;
}

/** The signal of a waiting method's options, checked. */
export function signalOf(options: SignalOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  checkOptions('options', options, SIGNAL_OPTIONS);
  checkSignal('options.signal', options.signal);
  return options.signal;
}
