import { checkOptions, checkSecondsOrNull, checkSignal, outOfRange } from '../base/validate.ts';
import type { TimerHandle } from '../loop/handle.ts';
import type { SignalOptions } from './abort-signal.ts';
import { cancelOnAbort } from './abort-signal.ts';
import { cancelNow } from './cancellation.ts';
import type { Collected } from './collect.ts';
import { collect, distinct } from './collect.ts';
import { DoneCallback } from './done-callback.ts';
import type { Awaitable, Future } from './future.ts';
import { Wakeable } from './wakeable.ts';

/** {@link wait} ends when one awaitable is done or cancelled. */
export const FIRST_COMPLETED: 'FIRST_COMPLETED' = 'FIRST_COMPLETED';
/**
 * {@link wait} ends when one awaitable has failed; if none fails, it ends as with `ALL_COMPLETED`. A
 * cancelled awaitable has not failed.
 */
export const FIRST_EXCEPTION: 'FIRST_EXCEPTION' = 'FIRST_EXCEPTION';
/** {@link wait} ends when all awaitables are done or cancelled. */
export const ALL_COMPLETED: 'ALL_COMPLETED' = 'ALL_COMPLETED';

/** The condition on which {@link wait} ends. */
export type ReturnWhen = typeof FIRST_COMPLETED | typeof FIRST_EXCEPTION | typeof ALL_COMPLETED;

const CONDITIONS: readonly unknown[] = [FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED];

export interface WaitOptions extends SignalOptions {
  /**
   * Seconds after which the wait ends, too. It then cancels nothing and throws nothing. Default: null, no
   * limit.
   */
  timeout?: number | null;
  /** The condition to wait for. Default: `ALL_COMPLETED`. */
  returnWhen?: ReturnWhen;
}

/**
 * Waits for some or all of several awaitables, and returns which are done and which are pending.
 *
 * The two sets contain the awaitables that were passed in, not their results: ask each one (`result()`,
 * `await`). Nothing is cancelled and no failure is thrown, not even after the timeout. You can wait for the
 * first of the same awaitables again and again without a leak, also with promises; `Promise.race` leaks
 * there.
 *
 * @param aws futures, tasks or promises of one loop, at least one; duplicates count once
 * @param options `timeout` in seconds, negative means now; `returnWhen`; `signal`
 * @returns a future of `[done, pending]`
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if an element cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) if `aws` is empty, if an element belongs to another loop, or if
 *   `timeout` is NaN
 *
 * **Cancellation** ends the wait; the awaitables continue.
 *
 * @example
 * ```ts
 * import { FIRST_COMPLETED, run, sleep, wait } from 'gyre';
 *
 * await run(async () => {
 *   const slow = sleep(1, 'slow');
 *   const fast = sleep(0.01, 'fast');
 *   const [done, pending] = await wait([slow, fast], { returnWhen: FIRST_COMPLETED });
 *   for (const future of done) console.log(future.result()); // fast
 *   for (const future of pending) future.cancel();
 * });
 * ```
 */
export function wait<A extends Awaitable<unknown>>(
  aws: Iterable<A>,
  options: WaitOptions = {},
): Future<[done: Set<A>, pending: Set<A>]> {
  const unique = distinct(aws);
  checkWaitOptions(options);
  if (unique.length === 0) throw outOfRange('aws', unique, 'at least one future, task or promise');
  const waiting = new Waiting<A>(collect(unique), options.returnWhen ?? ALL_COMPLETED);
  waiting.begin(options.timeout ?? null);
  return cancelOnAbort(waiting, options.signal);
}

function checkWaitOptions(options: WaitOptions): void {
  checkOptions('options', options, ['timeout', 'returnWhen', 'signal']);
  if (options.timeout !== undefined) checkSecondsOrNull('options.timeout', options.timeout);
  checkSignal('options.signal', options.signal);
  const condition = options.returnWhen;
  if (condition !== undefined && !CONDITIONS.includes(condition)) {
    throw outOfRange('options.returnWhen', condition, 'FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED');
  }
}

class Waiting<A> extends Wakeable<[Set<A>, Set<A>]> {
  readonly #aws: A[];
  readonly #futures: Future<unknown>[];
  readonly #returnWhen: ReturnWhen;
  #callbacks: DoneCallback[] = [];
  #timer: TimerHandle | null = null;
  #left: number;

  constructor(collected: Collected, returnWhen: ReturnWhen) {
    super(collected.loop);
    this.#aws = collected.aws as A[];
    this.#futures = collected.futures;
    this.#left = collected.futures.length;
    this.#returnWhen = returnWhen;
  }

  override _asWait(): string {
    return 'wait()';
  }

  override _waitsFor(): readonly Future<unknown>[] {
    return this.#futures.filter((future) => !future.done());
  }

  begin(timeout: number | null): void {
    if (timeout !== null && timeout !== Number.POSITIVE_INFINITY) {
      this.#timer = this._loop.callLater(timeout, () => this.wake());
    }
    const onDone = (future: Future<unknown>): void => this.#completed(future);
    this.#callbacks = this.#futures.map((future) => new DoneCallback(future, onDone));
  }

  /** Delivers the two sets, as they are now. */
  protected override _turn(): void {
    const done = new Set<A>();
    const pending = new Set<A>();
    for (const [index, future] of this.#futures.entries()) {
      (future.done() ? done : pending).add(this.#aws[index] as A);
    }
    this._deliver('result', [done, pending]);
  }

  override _end(...how: Parameters<Future['_end']>): ReturnType<Future['_end']> {
    this.#timer?.cancel();
    for (const callback of this.#callbacks) callback.remove();
    for (const [index, future] of this.#futures.entries()) {
      if (future === (this.#aws[index] as unknown)) continue;
      // This future was made from a promise, for this wait only. The owner of the promise handles its
      // failure.
      future._ignoreException();
      cancelNow(future, undefined);
    }
    return super._end(...how);
  }

  #completed(future: Future<unknown>): void {
    this.#left--;
    const first = this.#returnWhen === FIRST_COMPLETED;
    const failed = this.#returnWhen === FIRST_EXCEPTION && future._state === 'exception';
    if (first || failed || this.#left === 0) this.wake();
  }
}
