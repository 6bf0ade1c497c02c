import type { CancelledError } from '../base/errors.ts';
import { InvalidStateError } from '../base/errors.ts';
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
 * A lock, and a way to sleep until whoever holds it says that something has changed.
 *
 * `wait()` gives the lock back while it sleeps and has it again when it ends, in whichever way it ends. After
 * a plain `wait()` look again at what was waited for: others may have been faster. `waitFor()` does that.
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
   * @param lock several conditions may share one; default: a lock of its own
   * @throws TypeError when it is no {@link Lock}
   */
  constructor(lock: Lock = new Lock()) {
    if (!(lock instanceof Lock)) throw invalidArgType('lock', lock, 'a Lock');
    this.#lock = lock;
  }

  /** Whether somebody holds the lock. */
  locked(): boolean {
    return this.#lock.locked();
  }

  /**
   * Takes the lock: see `Lock.acquire()`. The guard stays good over every `wait()`.
   *
   * @param options `signal` to cancel the wait
   *
   * **Cancellation** leaves the line and has taken nothing.
   */
  acquire(options?: SignalOptions): Future<Disposable> {
    return this.#lock.acquire(options);
  }

  /**
   * Gives the lock back: see `Lock.release()`.
   *
   * @throws InvalidStateError when nobody holds it
   */
  release(): void {
    this.#lock.release();
  }

  /**
   * Gives the lock back, sleeps until it is notified, and takes the lock again.
   *
   * @param options `signal` to cancel the wait
   * @returns true
   * @throws InvalidStateError when the lock is not held, or tasks of another loop wait; LoopError
   *   (`ERR_NO_RUNNING_LOOP`) outside of a loop
   *
   * **Cancellation** takes the lock again before the `CancelledError` comes, so it may take as long as others
   * hold the lock; further cancels meanwhile change nothing but which error comes: the last one's. A
   * notification that had come already goes to the next sleeper. A signal that was aborted before the call
   * leaves the lock alone.
   */
  wait(options?: SignalOptions): Future<true> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted && this.#lock.locked()) return aborted(loop, signal);
    return this.#sleep<true>('wait', loop, signal, null);
  }

  /**
   * Waits until `predicate()` answers something true, asking at once and after each notification, with the
   * lock held.
   *
   * @param predicate must not be async: what it sees would be out of date when it is used
   * @param options `signal` to cancel the wait
   * @returns the predicate's last answer
   * @throws TypeError for a predicate that is no function; InvalidStateError when it has to wait and the lock
   *   is not held. What `predicate` throws ends the wait, with the lock held
   *
   * **Cancellation** as of {@link wait}.
   */
  waitFor<T>(predicate: () => T, options?: SignalOptions): Future<T> {
    checkFunction('predicate', predicate);
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    const answer = ask(predicate);
    if (answer) return succeeded(loop, answer);
    return this.#sleep<T>('waitFor', loop, signal, new Question(predicate));
  }

  /**
   * Wakes those who have slept longest. They go on when they get the lock, so not before it is released.
   *
   * @param n how many; fewer when fewer sleep. Default 1
   * @throws InvalidStateError when the lock is not held; TypeError, RangeError when `n` is not an integer of
   *   at least 0
   */
  notify(n: number = 1): void {
    checkInteger('n', n, 0, Number.MAX_SAFE_INTEGER);
    this.#checkLocked('notify');
    for (let left = n; left > 0 && this._notifyOne(); left--);
  }

  /**
   * Wakes all who sleep: see {@link notify}.
   *
   * @throws InvalidStateError when the lock is not held
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
    question: Question | null,
  ): Future<T> {
    const lock = this.#lock;
    if (lock._holder === null) throw notAcquired(method);
    this._sleepers.checkLoop('Condition', loop);
    lock._waiters.checkLoop('Condition', loop);
    const sleeper = new Sleeper(loop, this, lock, question);
    sleeper.sleep(lock._holder);
    return cancelOnAbort(sleeper as QueuedWaiter<unknown> as QueuedWaiter<T>, signal);
  }

  #checkLocked(method: string): void {
    if (!this.#lock.locked()) throw notAcquired(method);
  }
}

function notAcquired(method: string): InvalidStateError {
  return new InvalidStateError(`${method}(): the lock of this Condition is not acquired`);
}

function ask<T>(predicate: () => T): T {
  const answer = predicate();
  if (isAwaitable(answer)) {
    throw invalidArgType('predicate', predicate, 'a function that answers at once, not an async one');
  }
  return answer;
}

/**
 * A predicate that is asked later, as code of the task that waits: in its async context, with its
 * `currentTask()`.
 */
class Question {
  readonly #predicate: () => unknown;
  readonly #entry: ContextEntry | null = currentEntry();
  readonly #context: CapturedContext = new CapturedContext();

  constructor(predicate: () => unknown) {
    this.#predicate = predicate;
  }

  ask(): unknown {
    const entry = this.#entry;
    const predicate = this.#predicate;
    if (entry === null) return this.#context.runInAsyncScope(ask, undefined, predicate);
    return this.#context.runInAsyncScope(() => runInEntry(entry, () => ask(predicate)), undefined, undefined);
  }
}

/**
 * One `wait()` or `waitFor()`. Its way:
 *
 *   in the condition's line ──notify, or cancel──▶ ready queue ──lock is free──▶ takes it ──▶ ends
 *          ▲                                            │ not free                 ▲ │
 *          │                                            └──▶ in the lock's line ───┘ │
 *          └─────────────────────────── the answer is no: gives it back ─────────────┘
 *
 * The question is asked in the turn in which the lock is taken, and the answer handed over in it, so no
 * cancel can come between a notification and its use. A cancel only says how it will end: it never leaves the
 * lock's line, so there is nothing to begin anew however often it is cancelled.
 */
class Sleeper extends QueuedWaiter<unknown> {
  /** A notification was spent on it: if it is cancelled, somebody else gets that. */
  notified: boolean = false;
  readonly #condition: Condition;
  readonly #lock: Lock;
  readonly #question: Question | null;
  /** Whose acquisition is interrupted, and is taken up again. */
  #guard: LockGuard | null = null;
  #cancelled: boolean = false;
  #reason: string | CancelledError | undefined = undefined;

  constructor(loop: Loop, condition: Condition, lock: Lock, question: Question | null) {
    super(loop, NOBODY);
    this.#condition = condition;
    this.#lock = lock;
    this.#question = question;
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
    else if (this.#question === null) this.grant(true);
    else this.#goOn(this.#question);
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

  #goOn(question: Question): void {
    let answer: unknown;
    try {
      answer = question.ask();
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

/** A sleeper decides for itself. */
const NOBODY = {
  _turnOf(): void {},
  _gaveUp(): void {},
};
