/** Futures that are done when they are answered: most reads and drains need not wait. */
import { checkOptions, checkSignal } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { abortError } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';

const SIGNAL_OPTIONS = ['signal'];

export function doneWith<T>(loop: Loop, value: T): Future<T> {
  const future = new Future<T>(loop);
  future._state = 'result';
  future._value = value;
  return future;
}

export function failedWith(loop: Loop, error: unknown): Future<never> {
  const future = new Future<never>(loop);
  future._fail(error);
  return future;
}

export function checkSignalOptions(options: SignalOptions): void {
  checkOptions('options', options, SIGNAL_OPTIONS);
  checkSignal('options.signal', options.signal);
}

/** Checks the options, and answers the cancelled future to be given if their signal is aborted already: nothing must begin then. */
export function abortedBefore(loop: Loop, options: SignalOptions): Future<never> | null {
  checkSignalOptions(options);
  if (!options.signal?.aborted) return null;
  const future = new Future<never>(loop);
  future._cancel(abortError(options.signal));
  return future;
}
