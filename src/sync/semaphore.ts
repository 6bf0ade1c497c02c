import { InvalidStateError } from '../base/errors.ts';
import { showInOneLine } from '../base/one-line.ts';
import { checkInteger } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Ownership, Resource } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, signalOf, succeeded } from '../tasks/settled.ts';
import { holding } from './holding.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * A number of permits. As many tasks may be inside at once; the others wait in the order of their requests.
 *
 * A newcomer never overtakes waiting tasks, even if there are enough permits for all of them.
 *
 * @example
 * ```ts
 * import { gather, run, Semaphore, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const two = new Semaphore(2);
 *   const work = async (): Promise<void> => {
 *     using _ = await two.acquire();
 *     await sleep(0.01); // at most two tasks at the same time
 *   };
 *   await gather(work(), work(), work());
 * });
 * ```
 */
export class Semaphore {
  /** The number of free permits, including those that woken waiters are about to take. @internal */
  _value: number;
  readonly #waiters: WaitQueue<QueuedWaiter<Disposable>> = new WaitQueue();

  /**
   * @param value the initial number of permits; default 1
   * @throws TypeError, RangeError if it is not an integer of at least 0
   */
  constructor(value: number = 1) {
    checkInteger('value', value, 0, Number.MAX_SAFE_INTEGER);
    this._value = value;
  }

  /** Returns true if `acquire()` would wait. */
  locked(): boolean {
    return this._value === 0 || this.#waiters.length > 0;
  }

  /**
   * Acquires one permit, when there is one and no task has waited longer.
   *
   * @param options `signal` to cancel the wait
   * @returns a guard. Its disposal releases the permit, once. Use either the guard or `release()`, not both
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError if tasks of another loop
   *   wait
   *
   * **Cancellation** leaves the queue, and nothing was acquired. If a permit was about to be granted to this
   * task, the next waiter is woken.
   */
  acquire(options?: SignalOptions): Future<Disposable> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this.#waiters.length > 0) this.#waiters.checkLoop('Semaphore', loop);
    if (!this.locked()) {
      this._value--;
      if (loop.debug) this._held(loop, null);
      return succeeded<Disposable>(loop, new Permit(this));
    }
    const waiter = new QueuedWaiter<Disposable>(loop, this);
    this.#waiters.push(waiter);
    return cancelOnAbort(waiter, signal);
  }

  /**
   * Acquires a permit, calls `fn`, and returns it when `fn` has ended: for code that cannot say `using`.
   *
   * @param fn may be async
   * @param options `signal` to cancel the wait for a permit
   * @returns a future of the result of `fn`
   * @throws TypeError; the exception of `fn`; as `acquire()`
   *
   * **Cancellation** ends the wait, or is passed on to `fn`.
   */
  run<T>(fn: () => T | PromiseLike<T>, options?: SignalOptions): Future<T> {
    return holding(`${this.constructor.name}.run`, () => this.acquire(options), fn);
  }

  /**
   * Adds one permit, and wakes the task that has waited longest. A permit can be added without `acquire()`.
   */
  release(): void {
    this._value++;
    this.#waiters.wakeNext();
  }

  /** @internal */
  _turnOf(waiter: QueuedWaiter<Disposable>): void {
    if (this._value === 0) return;
    this._value--;
    this.#waiters.remove(waiter);
    this.#wakeAllowed();
    if (waiter._loop.debug) this._held(waiter._loop, waiter);
    waiter.grant(new Permit(this));
  }

  /** @internal */
  _gaveUp(waiter: QueuedWaiter<Disposable>): void {
    this.#waiters.remove(waiter);
    this.#wakeAllowed();
  }

  /** @internal */
  _nameOf(_waiter: object): string {
    return `${this.constructor.name}.acquire()`;
  }

  /** @internal */
  _facts(): string {
    return `${this._value} free${this.#waiters.facts()}`;
  }

  /**
   * Called in debug mode when a permit was acquired. A plain semaphore does not record it, because a permit
   * need not be released. @internal
   */
  _held(_loop: Loop, _waiter: object | null): void {}

  /**
   * Wakes waiters for which there are permits. They had to wait behind a woken waiter, in spite of free
   * permits.
   */
  #wakeAllowed(): void {
    while (this._value > this.#waiters.woken && this.#waiters.wakeNext());
  }
}

showInOneLine(Semaphore);

/**
 * A {@link Semaphore} that throws if more permits are released than were acquired. In debug mode, the loop's
 * leak report names it while permits are held.
 *
 * @example
 * ```ts
 * import { BoundedSemaphore, run } from 'gyre';
 *
 * await run(async () => {
 *   const semaphore = new BoundedSemaphore(1);
 *   await semaphore.acquire();
 *   semaphore.release();
 *   try {
 *     semaphore.release();
 *   } catch (error) {
 *     console.log((error as Error).name); // InvalidStateError
 *   }
 * });
 * ```
 */
export class BoundedSemaphore extends Semaphore implements Resource {
  readonly #bound: number;
  /** The registry that lists this semaphore as held. */
  #heldIn: Ownership | null = null;

  /**
   * @param value the initial and maximal number of permits; default 1
   * @throws TypeError, RangeError if it is not an integer of at least 0
   */
  constructor(value: number = 1) {
    super(value);
    this.#bound = value;
  }

  /**
   * Releases one permit, and wakes the task that has waited longest.
   *
   * @throws InvalidStateError if no permit is held
   */
  override release(): void {
    if (this._value >= this.#bound) {
      throw new InvalidStateError(
        `release(): all ${this.#bound} permits of this BoundedSemaphore are already free`,
      );
    }
    super.release();
    if (this.#heldIn === null || this._value < this.#bound) return;
    this.#heldIn.locks.delete(this);
    this.#heldIn = null;
  }

  /** The first permit that is held determines owner, stack and age in the report. @internal */
  override _held(loop: Loop, waiter: object | null): void {
    if (this.#heldIn !== null) return;
    this.#heldIn = loop._owned;
    loop._owned.hold(this, waiter, this.acquire);
  }

  /** @internal */
  override _facts(): string {
    return super._facts().replace('free', `of ${this.#bound} free`);
  }

  /** @internal */
  _describe(): string {
    const out = this.#bound - this._value;
    return `a ${this.constructor.name} still had ${out} of its ${this.#bound} permits taken`;
  }

  /** The loop was closed and no longer lists the semaphore. @internal */
  _forceClose(): void {
    this.#heldIn = null;
  }
}

/** One permit that was acquired. */
class Permit implements Disposable {
  #semaphore: Semaphore | null;

  constructor(semaphore: Semaphore) {
    this.#semaphore = semaphore;
  }

  [Symbol.dispose](): void {
    const semaphore = this.#semaphore;
    this.#semaphore = null;
    semaphore?.release();
  }
}
