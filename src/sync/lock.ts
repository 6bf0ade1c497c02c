import { InvalidStateError } from '../base/errors.ts';
import { runningLoop } from '../loop/context.ts';
import type { Ownership, Resource } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, signalOf, succeeded } from '../tasks/settled.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * Mutual exclusion between tasks, in the order in which they asked.
 *
 * - It belongs to nobody in particular: any code may release it.
 * - Taking a free lock costs no turn of the loop. Who finds it held, or finds others in line, goes to the end
 *   of the line.
 * - `acquire()` resolves to a guard: `using _ = await lock.acquire()` releases at the end of the block,
 *   however that is left.
 * - In debug mode the leak report of its loop names it while it is held.
 *
 * @example
 * ```ts
 * import { Lock, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const lock = new Lock();
 *   {
 *     using _ = await lock.acquire();
 *     await sleep(0.01); // nobody else is in a block like this meanwhile
 *   }
 *   console.log(lock.locked()); // false
 * });
 * ```
 */
export class Lock implements Resource {
  /** The guard that stands for the present acquisition. @internal */
  _holder: LockGuard | null = null;
  /** Where it is named as held. */
  #heldIn: Ownership | null = null;
  /** @internal */ readonly _waiters: WaitQueue<QueuedWaiter<unknown>> = new WaitQueue();

  /** Whether somebody holds it. */
  locked(): boolean {
    return this._holder !== null;
  }

  /**
   * Takes the lock, as soon as it is free and nobody has waited longer.
   *
   * @param options `signal` to cancel the wait
   * @returns a guard whose disposal releases what this call took; once only, and not at all when `release()`
   *   was called before
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError when tasks of another loop
   *   wait for it
   *
   * **Cancellation** leaves the line and has taken nothing. If its turn had come, the next one is woken.
   */
  acquire(options?: SignalOptions): Future<Disposable> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this._waiters.length > 0) this._waiters.checkLoop('Lock', loop);
    if (this._free()) return succeeded<Disposable>(loop, this._take(loop, null, new LockGuard(this)));
    const waiter = new QueuedWaiter<Disposable>(loop, this);
    this._waiters.push(waiter);
    return cancelOnAbort(waiter, signal);
  }

  /**
   * Gives it back, and wakes the one who has waited longest.
   *
   * @throws InvalidStateError when nobody holds it
   */
  release(): void {
    if (this._holder === null) throw new InvalidStateError('release(): this Lock is not acquired');
    this._holder = null;
    if (this.#heldIn !== null) this.#notHeld();
    this._waiters.wakeNext();
  }

  /** Nobody holds it, and nobody is about to: a woken place counts as about to. @internal */
  _free(): boolean {
    return this._holder === null && this._waiters.length === 0;
  }

  /** @param place by which it was waited for; null: it was free @internal */
  _take(loop: Loop, waiter: object | null, guard: LockGuard): LockGuard {
    this._holder = guard;
    if (loop.debug) {
      this.#heldIn = loop._owned;
      loop._owned.hold(this, waiter, this.acquire);
    }
    return guard;
  }

  /** @internal */
  _turnOf(waiter: QueuedWaiter<Disposable>): void {
    if (this._holder !== null) return;
    this._waiters.remove(waiter);
    waiter.grant(this._take(waiter._loop, waiter, new LockGuard(this)));
  }

  /** @internal */
  _gaveUp(waiter: QueuedWaiter<Disposable>): void {
    this._waiters.remove(waiter);
    if (this._holder === null && this._waiters.woken === 0) this._waiters.wakeNext();
  }

  /** @internal */
  _describe(): string {
    return `a ${this.constructor.name} was still held`;
  }

  /** Its loop is closed, and does not name it any more. It stays held. @internal */
  _forceClose(): void {
    this.#heldIn = null;
  }

  #notHeld(): void {
    this.#heldIn?.locks.delete(this);
    this.#heldIn = null;
  }
}

/** One acquisition. Out of date once the lock was released by other means, and then it does nothing. */
export class LockGuard implements Disposable {
  readonly #lock: Lock;

  constructor(lock: Lock) {
    this.#lock = lock;
  }

  [Symbol.dispose](): void {
    if (this.#lock._holder === this) this.#lock.release();
  }
}
