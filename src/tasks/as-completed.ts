import type { CancelledError } from '../base/errors.ts';
import { TimeoutError } from '../base/errors.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { checkOptions, checkSecondsOrNull, checkSignal } from '../base/validate.ts';
import type { Runnable, TimerHandle } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import { onAbort } from './abort-signal.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { cancelNow } from './cancellation.ts';
import type { Collected } from './collect.ts';
import { collect, distinct } from './collect.ts';
import { DoneCallback } from './done-callback.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

export interface AsCompletedOptions extends SignalOptions {
  /** Seconds from the call until the iteration throws a `TimeoutError`. Default: null, no limit. */
  timeout?: number | null;
}

/**
 * The iterator that {@link asCompleted} returns. It does not use TypeScript's `AsyncIterableIterator`: with
 * that type, `for await` would treat each element as already awaited.
 */
export interface CompletedIterator<A> {
  [Symbol.asyncIterator](): CompletedIterator<A>;
  /** Returns the next awaitable that is done. Rejects after the timeout, or when the signal aborts. */
  next(): Promise<IteratorResult<A, undefined>>;
  /** Ends the iteration. */
  return(): Promise<IteratorResult<A, undefined>>;
}

/**
 * Iterates over several awaitables in the order in which they complete.
 *
 * Each step returns one of the awaitables that were passed in, which is done by then: `await` it to get its
 * result or its failure. The awaitables are never cancelled. The iterator can be used once: it is finished
 * when the loop is left, or when it has thrown.
 *
 * @param aws futures, tasks or promises of one loop; duplicates count once
 * @param options `timeout` in seconds for the whole iteration; `signal`
 * @returns an async iterator
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if an element cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) if an element belongs to another loop, or `timeout` is NaN
 *
 * **Cancellation** ends the iteration; the awaitables continue.
 *
 * @example
 * ```ts
 * import { asCompleted, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const naps = [sleep(0.03, 'third'), sleep(0.01, 'first'), sleep(0.02, 'second')];
 *   for await (const nap of asCompleted(naps)) console.log(await nap);
 * });
 * ```
 */
export function asCompleted<A extends Awaitable<unknown>>(
  aws: Iterable<A>,
  options: AsCompletedOptions = {},
): CompletedIterator<A> {
  const unique = distinct(aws);
  checkOptions('options', options, ['timeout', 'signal']);
  if (options.timeout !== undefined) checkSecondsOrNull('options.timeout', options.timeout);
  checkSignal('options.signal', options.signal);
  return new Completions<A>(collect(unique), options);
}

class Completions<A> implements CompletedIterator<A>, Runnable {
  /** @internal */ readonly _loop: Loop;
  readonly #aws: A[];
  readonly #futures: Future<unknown>[];
  readonly #callbacks: DoneCallback[];
  readonly #completed: RingQueue<A> = new RingQueue();
  /** Pending calls of `next()`, in order. */
  readonly #steps: RingQueue<Step<A>> = new RingQueue();
  /** The number of awaitables that were not returned yet. */
  #left: number;
  #timer: TimerHandle | null = null;
  #removeListener: (() => void) | null = null;
  /** The error that the next step throws, after the awaitables that are already completed were returned. */
  #failure: TimeoutError | CancelledError | null = null;
  #woken: boolean = false;

  constructor({ loop, aws, futures }: Collected, options: AsCompletedOptions) {
    this._loop = loop;
    this.#aws = aws as A[];
    this.#futures = futures;
    this.#left = futures.length;
    this.#callbacks = futures.map(
      (future, index) => new DoneCallback(future, () => this.#add(this.#aws[index] as A)),
    );
    const timeout = options.timeout ?? null;
    if (timeout !== null && timeout !== Number.POSITIVE_INFINITY && this.#left > 0) {
      this.#timer = loop.callLater(timeout, () =>
        this.#fail(new TimeoutError('timed out: some awaitables were not done in time')),
      );
    }
    if (this.#left > 0) this.#removeListener = onAbort(options.signal, (error) => this.#fail(error));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<A, undefined>> {
    const step = new Step<A>(this);
    this.#steps.push(step);
    // A completed awaitable is returned without a turn, unless earlier steps still wait.
    if (this.#steps.length === 1) this._run();
    return step;
  }

  return(): Promise<IteratorResult<A, undefined>> {
    this._end();
    return Promise.resolve(OVER);
  }

  /**
   * Gives completed awaitables to waiting steps. It runs in the ready queue, so no cancel can come between.
   */
  _run(): void {
    this.#woken = false;
    for (let step = this.#steps.peek(); step !== undefined; step = this.#steps.peek()) {
      if (!step.done() && !this.#give(step)) return;
      this.#steps.shift();
    }
  }

  #give(step: Step<A>): boolean {
    if (step.due !== null) {
      step._deliver('cancelled', step.due.reason);
      this._end();
    } else if (this.#completed.length > 0) {
      this.#left--;
      const value = this.#completed.shift() as A;
      if (this.#left === 0) this.#letGo();
      step._deliver('result', { value, done: false });
    } else if (this.#left === 0) {
      step._deliver('result', OVER);
    } else if (this.#failure !== null) {
      step.fail(this.#failure);
    } else {
      return false;
    }
    return true;
  }

  #add(aw: A): void {
    if (this.#left === 0 || this.#failure !== null) return;
    this.#completed.push(aw);
    this.#wake();
  }

  #fail(error: TimeoutError | CancelledError): void {
    this.#failure = error;
    this.#letGo();
    this.#wake();
  }

  #wake(): void {
    if (this.#woken || this.#steps.length === 0) return;
    this.#woken = true;
    this._loop._scheduler.push(this);
  }

  /** Returns true if the turn of this step is already in the ready queue. @internal */
  _isNext(step: Step<A>): boolean {
    return this.#woken && this.#steps.peek() === step;
  }

  /** The awaitables that are not done. @internal */
  get _pending(): readonly Future<unknown>[] {
    return this.#futures.filter((future) => !future.done());
  }

  /** Ends the iteration: waiting steps and later ones return `done`. @internal */
  _end(): void {
    this.#left = 0;
    this.#completed.clear();
    this.#letGo();
    this.#wake();
  }

  #letGo(): void {
    this.#timer?.cancel();
    this.#removeListener?.();
    for (const [index, callback] of this.#callbacks.entries()) {
      callback.remove();
      const future = this.#futures[index] as Future<unknown>;
      if (future === (this.#aws[index] as unknown)) continue;
      // This future was made from a promise, for this iteration only. The owner of the promise handles its
      // failure.
      future._ignoreException();
      cancelNow(future, undefined);
    }
  }
}

const OVER: IteratorReturnResult<undefined> = { value: undefined, done: true };

/**
 * One call of `next()`. If it throws, the iteration is over, because `for await` does not call `next()`
 * again.
 */
class Step<A> extends Future<IteratorResult<A, undefined>> {
  /** A cancel that came between the wake-up and its turn. The step keeps its place in the ready queue. */
  due: { readonly reason: CancelReason } | null = null;
  readonly #owner: Completions<A>;

  constructor(owner: Completions<A>) {
    super(owner._loop);
    this.#owner = owner;
  }

  override _asWait(): string {
    return 'asCompleted()';
  }

  override _waitsFor(): readonly Future<unknown>[] {
    return this.#owner._pending;
  }

  fail(error: TimeoutError | CancelledError): void {
    if (error instanceof TimeoutError) {
      this._watchRetrieval(error);
      this._deliver('exception', error);
    } else {
      this._deliver('cancelled', error);
    }
    this.#owner._end();
  }

  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (this._state !== 'pending') return false;
    if (this.#owner._isNext(this)) {
      this.due ??= { reason };
      return true;
    }
    super._cancel(reason, way);
    this.#owner._end();
    return true;
  }
}
