/**
 * An async function that a loop runs and that can be cancelled at any `await` of ours.
 *
 * Cancelling, step by step:
 * - The task awaits a pending future: that future is cancelled, and so the `await` throws. Awaiting another task passes
 *   the cancel on to it, as in asyncio; `shield()` is there to stop that.
 * - Nothing to reject (it was not started, is about to be woken, or awaits a native promise): `#mustCancel` is set. The next
 *   wake-up throws instead of giving the result; the next wait for something pending is cancelled as it begins.
 * - `task.signal` aborts at once in every case.
 */

import { CancelledError } from '../base/errors.ts';
import type { Linked } from '../base/linked-list.ts';
import { currentTaskOrNull, runAsTask } from '../loop/context.ts';
import type { Runnable } from '../loop/handle.ts';
import type { OwnedTask } from '../loop/ownership.ts';
import type { Scheduler } from '../loop/scheduler.ts';
import type { Loop, TaskLike } from '../loop/types.ts';
import type { WaitingTask } from './future.ts';
import { Future, Wait } from './future.ts';

/** Gives each unnamed task a name, as asyncio does. */
let taskCount = 0;

export interface TaskOptions {
  /** Shown in reports. Default: `Task-1`, `Task-2`, … */
  name?: string;
  /** Runs the first step now instead of in the next turn. Default: false. */
  eager?: boolean;
}

/** The public loop, as far as lower layers make tasks by it: so that the user's task factory makes these, too. */
export interface TaskMaker extends Loop {
  createTask<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>, options?: TaskOptions): Task<T>;
}

/**
 * An async function that a loop runs: a {@link Future} of its result that can be cancelled.
 *
 * Made by `loop.createTask()`. The loop holds it strongly while it is pending.
 *
 * **Cancellation** `cancel()` makes the `await` at which the task stands throw {@link CancelledError}, also inside helper
 * functions that it awaits; `finally` blocks run and may await; a task that swallows the error goes on.
 *
 * @example
 * ```ts
 * import { CancelledError, getRunningLoop, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const task = getRunningLoop().createTask(async () => {
 *     try {
 *       await sleep(3600);
 *     } finally {
 *       console.log('cleaned up');
 *     }
 *   });
 *   await sleep(0);
 *   task.cancel();
 *   await task.catch((error) => console.log(error instanceof CancelledError)); // true
 * });
 * ```
 */
export class Task<T = unknown> extends Future<T> implements WaitingTask, OwnedTask, Runnable {
  /** Shown in reports. */
  name: string;
  /** @internal */ readonly _task: TaskLike = this;
  /** @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;
  #start: (() => PromiseLike<T>) | null;
  /** The awaits at which it stands: one, or several after `Promise.all`. */
  #wait: Wait | null = null;
  #moreWaits: Set<Wait> | null = null;
  #cancelRequests: number = 0;
  /** To be thrown at the next await. `late`: the operation that it was for had ended, and what that gave must not be lost. */
  #mustCancel: boolean | 'late' = false;
  #cancelReason: string | CancelledError | undefined = undefined;
  #passingOn: boolean = false;
  #controller: AbortController | null = null;

  /** Use `loop.createTask()`. @internal */
  constructor(loop: Loop, fn: () => PromiseLike<T>, name: string | undefined) {
    super(loop);
    this.name = name ?? `Task-${++taskCount}`;
    this.#start = fn;
    loop._owned.tasks.add(this);
  }

  override get [Symbol.toStringTag](): string {
    return 'Task';
  }

  /**
   * Aborts when the task is cancelled: pass it to whatever knows signals, `fetch(url, { signal: currentTask()!.signal })`.
   * After a cancellation that was swallowed and taken back (`uncancel()`), it is a fresh one.
   */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#cancelRequests > 0 && !this.#controller.signal.aborted) this.#abort();
    return this.#controller.signal;
  }

  /** How many calls of `cancel()` were not taken back by `uncancel()`. */
  cancelling(): number {
    return this.#cancelRequests;
  }

  /** Takes one request to cancel back, as `timeout()` does with its own. Answers how many remain. */
  uncancel(): number {
    if (this.#cancelRequests > 0) {
      this.#cancelRequests--;
      if (this.#cancelRequests === 0) {
        this.#mustCancel = false;
        if (this.#controller?.signal.aborted) this.#controller = null;
      }
    }
    return this.#cancelRequests;
  }

  /** Only the task's own function ends it. @internal */
  override setResult(_value: T): void {
    this._checkPending('setResult');
    throw new TypeError('a task gets its result from its function; setResult() is for futures');
  }

  /** Only the task's own function ends it. @internal */
  override setException(_exception: unknown): void {
    this._checkPending('setException');
    throw new TypeError('a task gets its exception from its function; setException() is for futures');
  }

  /** @internal */
  override _cancel(reason: string | CancelledError | undefined): boolean {
    // Passing it on came back here: tasks that wait for each other in a circle.
    if (this._state !== 'pending' || this.#passingOn) return false;
    this.#cancelRequests++;
    this.#cancelReason = reason;
    if (this.#controller !== null) this.#abort();
    if (this.#cancelWaits(reason)) return true;
    this.#mustCancel = true;
    return true;
  }

  /** The first step, in the ready queue. @internal */
  _run(_scheduler: Scheduler): void {
    const start = this.#start;
    if (start === null || this._state !== 'pending') return;
    this.#start = null;
    const cancel = this._takeCancel();
    if (cancel !== null) {
      this._finish('cancelled', cancel);
      return;
    }
    // Resolved within the task's context: a future that the function returns is a wait of the task, too.
    let promise: Promise<T>;
    try {
      promise = runAsTask(this, () => Promise.resolve(start()));
    } catch (error) {
      this.#failed(error);
      return;
    }
    promise.then(
      (value) => this.#returned(value),
      (error) => this.#failed(error),
    );
  }

  /** @internal */
  _takeCancel(): CancelledError | null {
    if (this.#mustCancel === false) return null;
    this.#mustCancel = false;
    const reason = this.#cancelReason;
    return reason instanceof CancelledError ? reason : new CancelledError(reason ?? 'the task was cancelled');
  }

  /** Whether a request to cancel has not been thrown yet. @internal */
  _cancelDue(): boolean {
    return this.#mustCancel !== false;
  }

  /** Throws at the next await what was thrown once and could not go on: something else had to be thrown. @internal */
  _cancelAgain(reason: CancelledError | null): void {
    if (this._state !== 'pending') return;
    this.#mustCancel = true;
    if (reason !== null) this.#cancelReason = reason;
  }

  /** As {@link _cancelAgain}, unless the task ends before another await: it came too late. @internal */
  _cancelLater(reason: CancelledError | null): void {
    if (this._state !== 'pending' || this.#mustCancel === true) return;
    this._cancelAgain(reason);
    this.#mustCancel = 'late';
  }

  /** @internal */
  _waitsFor(wait: Wait): void {
    if (this.#wait === null) {
      this.#wait = wait;
    } else {
      this.#moreWaits ??= new Set();
      this.#moreWaits.add(wait);
    }
    if (this.#mustCancel !== false && wait.future._cancel(this.#cancelReason)) this.#mustCancel = false;
  }

  /** @internal */
  _waitEnded(wait: Wait): void {
    if (this.#wait === wait) this.#wait = null;
    else this.#moreWaits?.delete(wait);
  }

  #cancelWaits(reason: string | CancelledError | undefined): boolean {
    const wait = this.#wait;
    if (wait === null && this.#moreWaits === null) return false;
    const more = this.#moreWaits === null ? [] : [...this.#moreWaits];
    this.#passingOn = true;
    let delivered = wait !== null && this.#cancelWait(wait, reason);
    for (const other of more) if (this.#cancelWait(other, reason)) delivered = true;
    this.#passingOn = false;
    return delivered;
  }

  #cancelWait(wait: Wait, reason: string | CancelledError | undefined): boolean {
    const future = wait.future;
    if (future._cancel(reason)) return true;
    if (future.done()) return false;
    // It cannot be cancelled and is not done: only this wait can be ended.
    future._removeWaiter(wait);
    this._loop._scheduler.push(wait);
    return false;
  }

  #abort(): void {
    const reason = this.#cancelReason;
    this.#controller?.abort(
      reason instanceof CancelledError ? reason : new CancelledError(reason ?? 'the task was cancelled'),
    );
  }

  #returned(value: T): void {
    if (this._state !== 'pending') return;
    if (this.#mustCancel === true) this._returnedCancelled(value);
    else this._finish('result', value);
  }

  /** Cancelled, but no await of ours came before the end: asyncio then counts it as cancelled, not as done. @internal */
  _returnedCancelled(_value: T): void {
    this._finish('cancelled', this._takeCancel());
  }

  #failed(error: unknown): void {
    if (this._state !== 'pending') return;
    if (error instanceof CancelledError) this._finish('cancelled', error);
    else this._finish('exception', error);
  }

  /** @internal */
  _finish(state: 'result' | 'exception' | 'cancelled', value: unknown): void {
    this._loop._owned.tasks.delete(this);
    if (state === 'exception') this._fail(value);
    else this._settle(state, value);
  }

  /** @internal */
  override _neverRetrieved(): string {
    return `the exception of task ${this.name} was never retrieved`;
  }

  /** @internal */
  _describe(): string {
    const where = this.#start === null ? 'pending' : 'not started';
    return `task ${this.name} was still ${where}`;
  }

  /** The loop is closed: it ends as cancelled, without running any more of its code. @internal */
  _abandon(): void {
    if (this._state !== 'pending') return;
    this.#start = null;
    const waiters = this._end(
      'cancelled',
      new CancelledError(`the event loop of task ${this.name} was closed`),
    );
    if (Array.isArray(waiters)) for (const waiter of waiters) waiter._abandon?.();
    else waiters?._abandon?.();
  }
}

/**
 * The body of an operation that is a coroutine in asyncio: begins at the call, is not among `allTasks()`, and hands its result
 * over the moment it ends, so that no cancel can come between (see `Future._deliver`).
 */
export class Operation<T> extends Task<T> {
  /** Who called it: what it opens is opened for them. @internal */
  readonly _caller: string | null;

  constructor(loop: Loop, fn: () => PromiseLike<T>, name: string) {
    super(loop, fn, name);
    const task = currentTaskOrNull() as Task | null;
    this._caller = task?._loop === loop ? task.name : null;
  }

  /** The cancel came between its last await and its end: what it acquired must not be lost. @internal */
  override _returnedCancelled(value: T): void {
    this._finish('result', value);
  }

  override _finish(state: 'result' | 'exception' | 'cancelled', value: unknown): void {
    this._loop._owned.tasks.delete(this);
    if (this._cancelDue()) this.#giveCancelBack();
    if (state === 'exception') this._watchRetrieval(value);
    this._deliver(state, value);
  }

  /** Nor must the cancel be lost: a task that passed it on gets it back, for its next await. */
  #giveCancelBack(): void {
    const cancel = this._takeCancel();
    const waiters = this._waiters;
    for (const waiter of Array.isArray(waiters) ? waiters : [waiters]) {
      if (waiter instanceof Wait) waiter.cancelAgain(cancel);
    }
  }
}

/** Starts an {@link Operation}: `fn` runs now, up to its first `await`. */
export function operation<T>(loop: Loop, name: string, fn: () => Promise<T>): Operation<T> {
  const op = new Operation<T>(loop, fn, name);
  op._run(loop._scheduler);
  return op;
}
