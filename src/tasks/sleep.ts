import { checkSeconds, checkSignal } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Runnable } from '../loop/handle.ts';
import { cancelOnAbort } from './abort-signal.ts';
import type { SignalOptions } from './abort-signal.ts';
import { Future } from './future.ts';

/**
 * Waits for `seconds`, and gives everybody else a turn. Zero or less waits for exactly one turn; Infinity for ever.
 *
 * @param seconds may have fractions; never shorter than asked
 * @param value what the future gives
 * @param options `signal` to cancel it
 * @throws RangeError (`ERR_OUT_OF_RANGE`) for NaN
 *
 * **Cancellation** ends it at once and takes its timer away.
 *
 * @example
 * ```ts
 * import { run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   console.log(await sleep(0.01, 'slept'));
 * });
 * ```
 */
export function sleep(seconds: number): Future<void>;
export function sleep<T>(seconds: number, value: T, options?: SignalOptions): Future<T>;
export function sleep(seconds: number, value?: unknown, options?: SignalOptions): Future<unknown> {
  checkSeconds('seconds', seconds);
  const loop = runningLoop();
  if (seconds <= 0) {
    const future = new Yield(loop);
    future.value = value;
    loop._scheduler.push(future);
    if (options !== undefined) bind(future, options);
    return future;
  }
  const future = new Future<unknown>(loop);
  if (seconds !== Number.POSITIVE_INFINITY) {
    const timer = loop._scheduler.callAt(loop.time() + seconds, wake, [future, value]);
    future._onSettled = () => timer.cancel();
  }
  if (options !== undefined) bind(future, options);
  return future;
}

function bind(future: Future<unknown>, options: SignalOptions): void {
  checkSignal('options.signal', options.signal);
  cancelOnAbort(future, options.signal);
}

/** One turn: it is itself what waits in the ready queue, and hands over when its place comes. */
class Yield extends Future<unknown> implements Runnable {
  value: unknown = undefined;

  _run(): void {
    if (this._state === 'pending') this._deliver('result', this.value);
  }
}

function wake(future: unknown, value: unknown): void {
  (future as Future<unknown>)._settle('result', value);
}
