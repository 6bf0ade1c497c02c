import { InvalidStateError } from '../base/errors.ts';
import { brief, showInOneLine } from '../base/one-line.ts';
import { currentEntry, runningLoop } from '../loop/context.ts';
import type { Ownership, Resource } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import type { Scope } from '../tasks/scope.ts';
import { aborted, signalOf, succeeded } from '../tasks/settled.ts';
import { holding } from './holding.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * Mutual exclusion between tasks, in the order of their requests.
 *
 * - The lock has no owner: any code may release it.
 * - Acquiring a free lock costs no turn of the loop. If the lock is held, or other tasks wait for it, the
 *   task goes to the end of the queue.
 * - `acquire()` resolves to a guard: `using _ = await lock.acquire()` releases the lock at the end of the
 *   block, however the block is left.
 * - In debug mode, the loop's leak report names the lock while it is held.
 *
 * @example
 * ```ts
 * import { Lock, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const lock = new Lock();
 *   {
 *     using _ = await lock.acquire();
 *     await sleep(0.01); // no other task is in such a block meanwhile
 *   }
 *   console.log(lock.locked()); // false
 * });
 * ```
 */
export class Lock implements Resource {
  /** The guard of the current acquisition. @internal */
  _holder: LockGuard | null = null;
  /** The registry that lists this lock as held. */
  #heldIn: Ownership | null = null;
  /** @internal */ readonly _waiters: WaitQueue<QueuedWaiter<unknown>> = new WaitQueue();

  /** Returns true if the lock is held. */
  locked(): boolean {
    return this._holder !== null;
  }

  /**
   * Acquires the lock, when it is free and no task has waited longer.
   *
   * @param options `signal` to cancel the wait
   * @returns a guard. Its disposal releases this acquisition once, and does nothing if `release()` was called
   *   before
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError if tasks of another loop
   *   wait
   *
   * **Cancellation** leaves the queue, and nothing was acquired. If the lock was about to be granted to this
   * task, the next waiter is woken.
   */
  acquire(options?: SignalOptions): Future<Disposable> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this._waiters.length > 0) this._waiters.checkLoop('Lock', loop);
    if (this._free()) {
      const { root } = currentEntry() as Scope;
      return succeeded<Disposable>(loop, this._take(loop, null, new LockGuard(this, root)));
    }
    const waiter = new QueuedWaiter<Disposable>(loop, this);
    this._waiters.push(waiter);
    return cancelOnAbort(waiter, signal);
  }

  /**
   * Acquires the lock, calls `fn`, and releases it when `fn` has ended: for code that cannot say `using`.
   *
   * @param fn may be async
   * @param options `signal` to cancel the wait for the lock
   * @returns a future of the result of `fn`
   * @throws TypeError; the exception of `fn`; as `acquire()`
   *
   * **Cancellation** ends the wait, or is passed on to `fn`.
   */
  run<T>(fn: () => T | PromiseLike<T>, options?: SignalOptions): Future<T> {
    return holding(`${this.constructor.name}.run`, () => this.acquire(options), fn);
  }

  /**
   * Releases the lock, and wakes the task that has waited longest.
   *
   * @throws InvalidStateError if the lock is not held
   */
  release(): void {
    if (this._holder === null) throw new InvalidStateError('release(): this Lock is not acquired');
    this._holder = null;
    if (this.#heldIn !== null) this.#notHeld();
    this._waiters.wakeNext();
  }

  /**
   * Returns true if the lock is not held and has no waiters. A woken waiter is about to acquire it. @internal
   */
  _free(): boolean {
    return this._holder === null && this._waiters.length === 0;
  }

  /** @param waiter the waiter that acquires the lock; null if it was free @internal */
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
    waiter.grant(this._take(waiter._loop, waiter, new LockGuard(this, waiter._root)));
  }

  /** @internal */
  _gaveUp(waiter: QueuedWaiter<Disposable>): void {
    this._waiters.remove(waiter);
    if (this._holder === null && this._waiters.woken === 0) this._waiters.wakeNext();
  }

  /** @internal */
  _nameOf(_waiter: object): string {
    return `${this.constructor.name}.acquire()`;
  }

  /** @internal */
  _holders(): readonly Future<unknown>[] {
    return this._holder?.holders() ?? [];
  }

  /** @internal */
  _facts(): string {
    return `${this._holder === null ? 'free' : `held${this._holder.facts()}`}${this._waiters.facts()}`;
  }

  /** @internal */
  _describe(): string {
    return `a ${this.constructor.name} was still held`;
  }

  /** The loop was closed and no longer lists the lock. The lock stays held. @internal */
  _forceClose(): void {
    this.#heldIn = null;
  }

  #notHeld(): void {
    this.#heldIn?.locks.delete(this);
    this.#heldIn = null;
  }
}

showInOneLine(Lock);

/** One acquisition. After the lock was released by other means, the guard does nothing. */
export class LockGuard implements Disposable {
  readonly #lock: Lock;
  /** The scope of the task that has the lock, for {@link Lock._facts}. */
  readonly #root: Scope | null;

  constructor(lock: Lock, root: Scope | null) {
    this.#lock = lock;
    this.#root = root;
  }

  /** Returns the holder: `by 'a'`. */
  facts(): string {
    const name = this.#root?._task?.name;
    return name === undefined ? '' : ` by ${brief(name)}`;
  }

  /** Returns the task that has the lock; nothing for code outside of tasks. */
  holders(): readonly Future<unknown>[] {
    const task = this.#root?._task ?? null;
    return task === null ? [] : [task as unknown as Future<unknown>];
  }

  [Symbol.dispose](): void {
    if (this.#lock._holder === this) this.#lock.release();
  }
}
