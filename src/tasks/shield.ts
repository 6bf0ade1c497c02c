import { checkOptions, checkSignal } from '../base/validate.ts';
import type { SignalOptions } from './abort-signal.ts';
import { abortError, cancelOnAbort } from './abort-signal.ts';
import { cancelNow } from './cancellation.ts';
import { collectOne } from './collect.ts';
import { DoneCallback } from './done-callback.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

/**
 * Protects an awaitable from a cancel of the code that waits for it.
 *
 * `await task` passes a cancel on to the task. `await shield(task)` does not: the awaiting task gets a
 * {@link CancelledError}, and the shielded task continues. If no other code waits for the shielded task, its
 * failure is reported as an exception that was never retrieved.
 *
 * @param aw a future, a task or a promise
 * @param options `signal`, which ends only the wait
 * @returns a future that ends as `aw` does; `aw` itself if it is already done
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if `aw` cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) if `aw` belongs to another loop
 *
 * **Cancellation** ends only the wait. If `aw` itself is cancelled, the shield is cancelled, too.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run, shield, sleep, waitFor } from 'gyre';
 *
 * await run(async () => {
 *   const saving = getRunningLoop().createTask(() => sleep(0.02, 'saved'));
 *   await waitFor(shield(saving), 0.01).catch((error) => console.log(error.name)); // TimeoutError
 *   console.log(await saving); // saved
 * });
 * ```
 */
export function shield<T>(aw: Awaitable<T>, options: SignalOptions = {}): Future<T> {
  checkOptions('options', options, ['signal']);
  const signal = options.signal;
  checkSignal('options.signal', signal);
  const inner = collectOne(aw);
  if (signal?.aborted) {
    const outer = new Future<T>(inner._loop);
    cancelNow(outer, abortError(signal));
    return outer;
  }
  // For a promise, only the wait can be cancelled, so it needs no shield.
  return inner === aw ? cancelOnAbort(shielded(inner), signal) : cancelOnAbort(inner, signal);
}

function shielded<T>(inner: Future<T>): Future<T> {
  return inner.done() ? inner : new Shield(inner);
}

class Shield<T> extends Future<T> {
  readonly #inner: Future<T>;
  readonly #callback: DoneCallback;

  constructor(inner: Future<T>) {
    super(inner._loop);
    this.#inner = inner;
    this.#callback = new DoneCallback(inner as Future<unknown>, () => this.#innerDone(inner));
  }

  override _asWait(): string {
    return 'shield()';
  }

  override _waitsFor(): readonly Future<unknown>[] {
    return [this.#inner as Future<unknown>];
  }

  override _end(...how: Parameters<Future['_end']>): ReturnType<Future['_end']> {
    this.#callback.remove();
    return super._end(...how);
  }

  #innerDone(inner: Future<T>): void {
    if (this._state !== 'pending') return;
    if (inner._state === 'result') this._settle('result', inner._value);
    else if (inner._state === 'cancelled') this._settle('cancelled', inner._failure());
    else this._fail(inner._failure());
  }
}
