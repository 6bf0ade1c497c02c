import type { CancelledError } from '../base/errors.ts';
import { InvalidStateError } from '../base/errors.ts';
import { showInOneLine } from '../base/one-line.ts';
import { checkFunction, checkInteger, invalidArgType } from '../base/validate.ts';
import { CapturedContext, currentEntry, runInEntry, runningLoop } from '../loop/context.ts';
import type { ContextEntry, Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { isAwaitable } from '../tasks/ensure-future.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, signalOf, succeeded } from '../tasks/settled.ts';
import type { LockGuard } from './lock.ts';
import { Lock } from './lock.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/**
 * A lock, together with a way to sleep until the holder of the lock reports a change.
 *
 * `wait()` releases the lock while it sleeps, and holds the lock again when it ends, for whatever reason.
 * After a plain `wait()`, check the state again, because another task may have been faster. `waitFor()` does
 * this check.
 *
 * @example
 * ```ts
 * import { Condition, gather, run } from 'gyre';
 *
 * await run(async () => {
 *   const changed = new Condition();
 *   const words: string[] = [];
 *   const reader = async (): Promise<void> => {
 *     using _ = await changed.acquire();
 *     await changed.waitFor(() => words.length > 0);
 *     console.log(words.pop());
 *   };
 *   const writer = async (): Promise<void> => {
 *     using _ = await changed.acquire();
 *     words.push('hello');
 *     changed.notify();
 *   };
 *   await gather(reader(), writer());
 * });
 * ```
 */
export class Condition {
  readonly #lock: Lock;
  /** @internal */ readonly _sleepers: WaitQueue<Sleeper> = new WaitQueue();

  /**
   * @param lock several conditions may share a lock. Default: a new lock
   * @throws TypeError if it is not a {@link Lock}
   */
  constructor(lock: Lock = new Lock()) {
    if (!(lock instanceof Lock)) throw invalidArgType('lock', lock, 'a Lock');
    this.#lock = lock;
  }

  /** Returns true if the lock is held. */
  locked(): boolean {
    return this.#lock.locked();
  }

  /**
   * Acquires the lock: see `Lock.acquire()`. The guard stays valid across every `wait()`.
   *
   * @param options `signal` to cancel the wait
   *
   * **Cancellation** leaves the queue, and nothing was acquired.
   */
  acquire(options?: SignalOptions): Future<Disposable> {
    return this.#lock.acquire(options);
  }

  /**
   * Releases the lock: see `Lock.release()`.
   *
   * @throws InvalidStateError if the lock is not held
   */
  release(): void {
    this.#lock.release();
  }

  /**
   * Releases the lock, sleeps until it is notified, and acquires the lock again.
   *
   * @param options `signal` to cancel the wait
   * @returns true
   * @throws InvalidStateError if the lock is not held, or tasks of another loop wait; LoopError
   *   (`ERR_NO_RUNNING_LOOP`) outside of a loop
   *
   * **Cancellation** acquires the lock again before the `CancelledError` is thrown, so it may take as long as
   * other tasks hold the lock. If more cancels come meanwhile, the error of the last one is thrown. If a
   * notification had already come, the next sleeper gets it. If the signal is already aborted at the call,
   * the lock is not released.
   */
  wait(options?: SignalOptions): Future<true> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted && this.#lock.locked()) return aborted(loop, signal);
    return this.#sleep<true>('wait', loop, signal, null);
  }

  /**
   * Waits until `predicate()` returns a truthy value. It calls the predicate at once, and again after each
   * notification, while it holds the lock.
   *
   * @param predicate must not be async, because its result would be out of date when it is used
   * @param options `signal` to cancel the wait
   * @returns the predicate's last result
   * @throws TypeError if the predicate is not a function; InvalidStateError if the call has to wait and the
   *   lock is not held. An exception of `predicate` ends the wait, with the lock held
   *
   * **Cancellation** As in {@link wait}.
   */
  waitFor<T>(predicate: () => T, options?: SignalOptions): Future<T> {
    checkFunction('predicate', predicate);
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    const answer = callPredicate(predicate);
    if (answer) return succeeded(loop, answer);
    return this.#sleep<T>('waitFor', loop, signal, new CapturedPredicate(predicate));
  }

  /**
   * Wakes the tasks that have slept longest. They continue when they have acquired the lock, so not before it
   * is released.
   *
   * @param n the number of tasks to wake at most. Default 1
   * @throws InvalidStateError if the lock is not held; TypeError, RangeError if `n` is not an integer of at
   *   least 0
   */
  notify(n: number = 1): void {
    checkInteger('n', n, 0, Number.MAX_SAFE_INTEGER);
    this.#checkLocked('notify');
    for (let left = n; left > 0 && this._notifyOne(); left--);
  }

  /**
   * Wakes all sleeping tasks: see {@link notify}.
   *
   * @throws InvalidStateError if the lock is not held
   */
  notifyAll(): void {
    this.#checkLocked('notifyAll');
    while (this._notifyOne());
  }

  /** @internal */
  _notifyOne(): boolean {
    const sleeper = this._sleepers.first;
    if (sleeper === null) return false;
    this._sleepers.remove(sleeper);
    sleeper.notified = true;
    sleeper.wake();
    return true;
  }

  #sleep<T>(
    method: string,
    loop: Loop,
    signal: AbortSignal | undefined,
    predicate: CapturedPredicate | null,
  ): Future<T> {
    const lock = this.#lock;
    if (lock._holder === null) throw notAcquired(method);
    this._sleepers.checkLoop('Condition', loop);
    lock._waiters.checkLoop('Condition', loop);
    const sleeper = new Sleeper(loop, this, lock, predicate);
    sleeper.sleep(lock._holder);
    return cancelOnAbort(sleeper as QueuedWaiter<unknown> as QueuedWaiter<T>, signal);
  }

  /** @internal */
  _facts(): string {
    return `${this.#lock._facts()}${this._sleepers.facts('sleep')}`;
  }

  #checkLocked(method: string): void {
    if (!this.#lock.locked()) throw notAcquired(method);
  }
}

showInOneLine(Condition);

function notAcquired(method: string): InvalidStateError {
  return new InvalidStateError(`${method}(): the lock of this Condition is not acquired`);
}

function callPredicate<T>(predicate: () => T): T {
  const answer = predicate();
  if (isAwaitable(answer)) {
    throw invalidArgType(
      'predicate',
      predicate,
      'a function that returns its result at once, not an async function',
    );
  }
  return answer;
}

/**
 * A predicate that is called later as code of the waiting task: in its async context, and with its
 * `currentTask()`.
 */
class CapturedPredicate {
  readonly #predicate: () => unknown;
  readonly #entry: ContextEntry | null = currentEntry();
  readonly #context: CapturedContext = new CapturedContext();

  constructor(predicate: () => unknown) {
    this.#predicate = predicate;
  }

  call(): unknown {
    const entry = this.#entry;
    const predicate = this.#predicate;
    if (entry === null) return this.#context.runInAsyncScope(callPredicate, undefined, predicate);
    return this.#context.runInAsyncScope(() => runInEntry(entry, () => callPredicate(predicate)), undefined);
  }
}

/**
 * One `wait()` or `waitFor()`:
 *
 *   in the condition's queue ──notify, or cancel──▶ ready queue ──lock is free──▶ acquires it ──▶ ends
 *          ▲                                            │ not free                  ▲ │
 *          │                                            └──▶ in the lock's queue ───┘ │
 *          └──────────────────── the predicate is false: releases it ─────────────────┘
 *
 * The predicate is called in the turn in which the lock is acquired, and its result is delivered in the same
 * turn. So no cancel can come between a notification and its use. A cancel only changes how the wait ends:
 * the sleeper never leaves the lock's queue, so repeated cancels do not restart anything.
 */
class Sleeper extends QueuedWaiter<unknown> {
  /** It has used up a notification. If it is cancelled, the next sleeper gets the notification. */
  notified: boolean = false;
  readonly #condition: Condition;
  readonly #lock: Lock;
  readonly #predicate: CapturedPredicate | null;
  /** The guard to re-acquire on wake-up. */
  #guard: LockGuard | null = null;
  #cancelled: boolean = false;
  #reason: string | CancelledError | undefined = undefined;

  constructor(loop: Loop, condition: Condition, lock: Lock, predicate: CapturedPredicate | null) {
    super(loop, INACTIVE_OWNER);
    this.#condition = condition;
    this.#lock = lock;
    this.#predicate = predicate;
  }

  /** After the notification it waits for the lock. */
  override _waitsFor(): readonly Future<unknown>[] {
    return this.line === this.#lock._waiters ? this.#lock._holders() : [];
  }

  sleep(guard: LockGuard): void {
    this.notified = false;
    this.#guard = guard;
    this.#condition._sleepers.push(this);
    this.#lock.release();
  }

  override _run(): void {
    const lock = this.#lock;
    if (this.line !== null) {
      lock._waiters.remove(this);
    } else if (!lock._free()) {
      this.woken = false;
      lock._waiters.push(this);
      return;
    }
    this.woken = false;
    lock._take(this._loop, this, this.#guard as LockGuard);
    if (this.#cancelled) this.#endCancelled();
    else if (this.#predicate === null) this.grant(true);
    else this.#checkPredicate(this.#predicate);
  }

  override _cancel(reason: string | CancelledError | undefined): boolean {
    if (this._state !== 'pending') return false;
    this.#reason = reason;
    if (this.#cancelled) return true;
    this.#cancelled = true;
    if (this.notified) {
      this.#condition._notifyOne();
    } else {
      this.#condition._sleepers.remove(this);
      this.wake();
    }
    return true;
  }

  #checkPredicate(predicate: CapturedPredicate): void {
    let answer: unknown;
    try {
      answer = predicate.call();
    } catch (error) {
      this.fail(error);
      return;
    }
    const holder = this.#lock._holder;
    // The predicate may have cancelled its own task.
    if (this.#cancelled) this.#endCancelled();
    else if (answer) this.grant(answer);
    else if (holder === null) this.fail(notAcquired('waitFor'));
    else this.sleep(holder);
  }

  #endCancelled(): void {
    this._deliver('cancelled', this.#reason);
  }
}

/** The owner of sleepers. It does nothing, because a sleeper decides for itself. */
const INACTIVE_OWNER = {
  _turnOf(): void {},
  _gaveUp(): void {},
  _nameOf: (): string => 'Condition.wait()',
};
