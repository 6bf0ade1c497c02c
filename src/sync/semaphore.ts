import { InvalidStateError } from '../base/errors.ts';
import { checkInteger } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Ownership, Resource } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, signalOf, succeeded } from '../tasks/settled.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * A number of permits: so many tasks may be inside at once, and the others wait in the order in which they
 * asked.
 *
 * A newcomer never overtakes those in line, not even when there are permits enough for all of them.
 *
 * @example
 * ```ts
 * import { gather, run, Semaphore, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const two = new Semaphore(2);
 *   const work = async (): Promise<void> => {
 *     using _ = await two.acquire();
 *     await sleep(0.01); // never more than two at once
 *   };
 *   await gather(work(), work(), work());
 * });
 * ```
 */
export class Semaphore {
  /** Permits that nobody holds, those included that woken places are about to take. @internal */
  _value: number;
  readonly #waiters: WaitQueue<QueuedWaiter<Disposable>> = new WaitQueue();

  /**
   * @param value permits at the beginning; default 1
   * @throws TypeError, RangeError when it is not an integer of at least 0
   */
  constructor(value: number = 1) {
    checkInteger('value', value, 0, Number.MAX_SAFE_INTEGER);
    this._value = value;
  }

  /** Whether `acquire()` would wait. */
  locked(): boolean {
    return this._value === 0 || this.#waiters.length > 0;
  }

  /**
   * Takes one permit, as soon as there is one and nobody has waited longer.
   *
   * @param options `signal` to cancel the wait
   * @returns a guard whose disposal gives the permit back, once only. Use it or `release()`, not both
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError when tasks of another loop
   *   wait for it
   *
   * **Cancellation** leaves the line and has taken nothing. If its turn had come, the next one is woken.
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

  /** Adds one permit, and wakes the one who has waited longest. It need not have been acquired before. */
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

  /** Debug mode: a permit was taken. It need not come back, so nobody is told. @internal */
  _held(_loop: Loop, _place: object | null): void {}

  /** Those who came while a woken place was ahead of them had to wait in spite of free permits. */
  #wakeAllowed(): void {
    while (this._value > this.#waiters.woken && this.#waiters.wakeNext());
  }
}

/**
 * A {@link Semaphore} that notices when more is given back than was taken. In debug mode the leak report of
 * its loop names it while permits are out.
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
  /** Where it is named as held. */
  #heldIn: Ownership | null = null;

  /**
   * @param value permits at the beginning, and at most; default 1
   * @throws TypeError, RangeError when it is not an integer of at least 0
   */
  constructor(value: number = 1) {
    super(value);
    this.#bound = value;
  }

  /**
   * Gives one permit back, and wakes the one who has waited longest.
   *
   * @throws InvalidStateError when all permits are there already
   */
  override release(): void {
    if (this._value >= this.#bound) {
      throw new InvalidStateError(
        `release(): all ${this.#bound} permits of this BoundedSemaphore are there already`,
      );
    }
    super.release();
    if (this.#heldIn === null || this._value < this.#bound) return;
    this.#heldIn.locks.delete(this);
    this.#heldIn = null;
  }

  /** The first permit that is out tells whose, where and since when. @internal */
  override _held(loop: Loop, waiter: object | null): void {
    if (this.#heldIn !== null) return;
    this.#heldIn = loop._owned;
    loop._owned.hold(this, waiter, this.acquire);
  }

  /** @internal */
  _describe(): string {
    const out = this.#bound - this._value;
    return `a ${this.constructor.name} still had ${out} of its ${this.#bound} permits taken`;
  }

  /** Its loop is closed, and does not name it any more. @internal */
  _forceClose(): void {
    this.#heldIn = null;
  }
}

/** One permit that was taken. */
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
