/**
 * `loop.addSignalHandler` and `loop.removeSignalHandler`.
 *
 * The host may report a signal at any time, also between turns and while the loop is stopped. The callback
 * waits in the ready queue like any other: it never interrupts other code, and a stopped loop runs it when it
 * runs again.
 */
import type { RawRequest } from '../backend/backend.ts';
import { checkFunction } from '../base/validate.ts';
import { rememberOrigin } from '../loop/creation.ts';
import type { AnyCallback } from '../loop/handle.ts';
import { Handle } from '../loop/handle.ts';
import type { Unreported } from '../loop/ownership.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import { SignalIteration } from './signal-iteration.ts';
import { checkSignum, handleSignal, signalNumber } from './signal-number.ts';

/** A loop's handler of one signal. It ends with the loop and is not a leak, as in asyncio. */
class SignalHandler implements Unreported {
  readonly signum: number;
  readonly #request: RawRequest;
  #handle: Handle;

  constructor(loop: Loop, signum: number, handle: Handle) {
    this.signum = signum;
    this.#handle = handle;
    this.#request = handleSignal(loop, 'signum', signum, () => loop._scheduler.push(this.#handle));
  }

  /** Replaces the callback. A signal that has already come still calls the earlier callback. */
  replace(handle: Handle): void {
    this.#handle = handle;
  }

  /** Also drops a signal that has come and waits in the ready queue. */
  _forceClose(): void {
    this.#request.cancel();
    this.#handle.cancel();
  }
}

/** See `BaseEventLoop.addSignalHandler`. */
export function addSignalHandler(
  loop: Loop,
  signum: string | number,
  callback: AnyCallback,
  args: unknown[],
  caller: (...args: never[]) => unknown,
): void {
  checkSignum('signum', signum);
  checkFunction('callback', callback);
  checkSupports(loop, 'signals');
  const number = signalNumber(loop, 'signum', signum);
  const present = handlerOf(loop, number);
  const handle = new Handle(callback, args);
  if (loop.debug) rememberOrigin(handle, caller);
  if (present === null) loop._owned.unreported.add(new SignalHandler(loop, number, handle));
  else present.replace(handle);
}

/** See `BaseEventLoop.removeSignalHandler`. */
export function removeSignalHandler(loop: Loop, signum: string | number): boolean {
  checkSignum('signum', signum);
  checkSupports(loop, 'signals');
  const handler = handlerOf(loop, signalNumber(loop, 'signum', signum));
  if (handler === null) return false;
  loop._owned.unreported.delete(handler);
  handler._forceClose();
  return true;
}

/** Returns true if the loop has a handler for the signal, or iterates over it. */
export function hasSignalHandler(loop: Loop, signum: number): boolean {
  for (const owned of loop._owned.unreported) {
    if (owned instanceof SignalHandler && owned.signum === signum) return true;
    if (owned instanceof SignalIteration && owned.signums.has(signum)) return true;
  }
  return false;
}

function handlerOf(loop: Loop, signum: number): SignalHandler | null {
  for (const owned of loop._owned.unreported) {
    if (owned instanceof SignalHandler && owned.signum === signum) return owned;
  }
  return null;
}
