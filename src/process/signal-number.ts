/** Signals by name or number, and the request to handle one. */
import type { RawRequest } from '../backend/backend.ts';
import { namingArgument } from '../base/unusable.ts';
import { invalidArgType, outOfRange } from '../base/validate.ts';
import { capability } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';

const ACCEPTED = 'the name or the number of a signal';

/**
 * Returns the number of a signal that is given by name or number.
 *
 * @param name the name of the argument
 * @throws TypeError for another type; RangeError if the platform has no such signal
 */
export function signalNumber(loop: Loop, name: string, signal: unknown): number {
  const signals = loop._backend.signals?.numbers ?? {};
  if (typeof signal === 'string') {
    if (Object.hasOwn(signals, signal)) return signals[signal] as number;
    throw outOfRange(name, signal, 'the name of a signal, such as SIGTERM');
  }
  if (typeof signal !== 'number') throw invalidArgType(name, signal, ACCEPTED);
  const { SIGRTMIN = Number.NaN, SIGRTMAX = Number.NaN } = signals;
  const isRealTime = Number.isInteger(signal) && signal >= SIGRTMIN && signal <= SIGRTMAX;
  if (isRealTime || Object.values(signals).includes(signal)) return signal;
  throw outOfRange(name, signal, 'the number of a signal');
}

export function checkSignum(name: string, signum: unknown): void {
  if (typeof signum !== 'string' && typeof signum !== 'number') throw invalidArgType(name, signum, ACCEPTED);
}

/** Calls `onSignal` at each signal, until the request is cancelled. */
export function handleSignal(loop: Loop, name: string, signum: number, onSignal: () => void): RawRequest {
  return namingArgument(name, () => capability(loop, 'signals').handle(signum, onSignal), outOfRange);
}
