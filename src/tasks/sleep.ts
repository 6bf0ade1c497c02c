import { checkOptions, checkSeconds, checkSignal, invalidArgType, isSignal } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import { cancelOnAbort } from './abort-signal.ts';
import { Future } from './future.ts';
import { Wakeable } from './wakeable.ts';

/**
 * Completes after `seconds`, and lets other code run meanwhile. Zero or less waits for exactly one turn;
 * Infinity waits forever.
 *
 * @param seconds may have fractions. The sleep is never shorter
 * @param value the result of the future
 * @param options `signal` to cancel the sleep
 * @throws RangeError (`ERR_OUT_OF_RANGE`) for NaN
 *
 * **Cancellation** ends the sleep at once and removes its timer.
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
  if (options === undefined) {
    if (isMisplaced(value))
      throw invalidArgType(
        'value',
        value,
        'the result of the future (pass the options as the third argument)',
      );
    return start(seconds, value);
  }
  checkOptions('options', options, ['signal']);
  checkSignal('options.signal', options.signal);
  return cancelOnAbort(start(seconds, value), options.signal);
}

function start(seconds: number, value: unknown): Future<unknown> {
  const loop = runningLoop();
  if (seconds <= 0) {
    const future = new Yield(loop);
    future._value = value;
    future.wake();
    return future;
  }
  const future = new Sleep(loop, seconds);
  if (seconds !== Number.POSITIVE_INFINITY) {
    const timer = loop._scheduler.callAt(loop.time() + seconds, wake, [future, value]);
    future._onSettled = () => timer.cancel();
  }
  return future;
}

class Sleep extends Future<unknown> {
  readonly _seconds: number;

  constructor(loop: Loop, seconds: number) {
    super(loop);
    this._seconds = seconds;
  }

  override _asWait(): string {
    return `sleep(${this._seconds})`;
  }

  override _waitLabel(): string {
    return 'sleep()';
  }
}

/** A sleep of one turn. It stores its result from the beginning. */
class Yield extends Wakeable<unknown> {
  override _asWait(): string {
    return 'sleep(0)';
  }

  /** To record each would cost 4 % of a `sleep(0)`. The recorder gets the last task of a few turns. */
  override _waitLabel(): null {
    return null;
  }

  protected override _turn(): void {
    this._deliver('result', this._value);
  }
}

function wake(future: unknown, value: unknown): void {
  (future as Future<unknown>)._settle('result', value);
}

/** Returns true for `sleep(1, { signal })`, where the options were passed in place of the value. */
function isMisplaced(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === 'signal' && isSignal((value as { signal: unknown }).signal);
}
