/**
 * An async function that a loop runs and that can be cancelled at any `await` of ours.
 *
 * Cancelling, step by step:
 * - The task's scope passes the request on to the futures that the task awaits (scope.ts): these are
 *   cancelled, and so the `await` throws. Awaiting another task passes the cancel on to it, as in asyncio;
 *   `shield()` is there to stop that.
 * - Where there is no wait (the task was not started, or stands at a promise of the host's) the cancel is
 *   due: the next wait for something pending is cancelled as it begins.
 * - `task.signal` aborts at once in every case.
 */

import type { CancelledError } from '../base/errors.ts';
import type { Linked } from '../base/linked-list.ts';
import { currentEntry, runInEntry } from '../loop/context.ts';
import type { Runnable, TimerHandle } from '../loop/handle.ts';
import type { OwnedTask } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { CancelReason, CancelWay, PassingTask } from './cancellation.ts';
import { asCancel, cancelError } from './cancellation.ts';
import { Future } from './future.ts';
import type { Flow } from './scope.ts';
import { Scope } from './scope.ts';

/** Gives each unnamed task a name, as asyncio does. */
let taskCount = 0;

/** Seconds. A cancelled task that still stands at a promise of the host's is reported after them. */
const STUCK_SECONDS = 1;

export interface TaskOptions {
  /** Shown in reports. Default: `Task-1`, `Task-2`, … */
  name?: string;
  /** Runs the first step now instead of in the next turn. Default: false. */
  eager?: boolean;
}

/**
 * The public loop, as far as lower layers make tasks by it: so that the user's task factory makes these, too.
 */
export interface TaskMaker extends Loop {
  createTask<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>, options?: TaskOptions): Task<T>;
}

/**
 * An async function that a loop runs: a {@link Future} of its result that can be cancelled.
 *
 * Made by `loop.createTask()`. The loop holds it strongly while it is pending.
 *
 * **Cancellation** `cancel()` makes the `await` at which the task stands throw {@link CancelledError}, also
 * inside helper functions that it awaits; `finally` blocks run and may await; a task that swallows the error
 * goes on.
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
export class Task<T = unknown> extends Future<T> implements Flow, OwnedTask, PassingTask, Runnable {
  /** Shown in reports. */
  name: string;
  /** @internal */ readonly _scope: Scope;
  /** @internal */ _passing: boolean = false;
  /** @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;
  #start: (() => PromiseLike<T>) | null;
  /** @internal */ _cancelRequests: number = 0;
  #stuckReport: TimerHandle | null = null;

  /** Use `loop.createTask()`. @internal */
  constructor(loop: Loop, fn: () => PromiseLike<T>, name: string | undefined, parent: Scope | null = null) {
    super(loop);
    this.name = name ?? `Task-${++taskCount}`;
    this.#start = fn;
    this._scope = new Scope(loop, parent, this as Flow);
    loop._owned.tasks.add(this);
  }

  override get [Symbol.toStringTag](): string {
    return 'Task';
  }

  /**
   * Aborts when the task is cancelled: pass it to any operation that takes a signal, `fetch(url, { signal:
   * currentTask()!.signal })`. Within the body of a timeout or task group of the task, it is the body's: it
   * aborts at the deadline, too.
   *
   * An operation that listens to it when it aborts has taken the cancel: the task is not interrupted a second
   * time. After a cancellation that was swallowed and taken back (`uncancel()`), it is a fresh one.
   */
  get signal(): AbortSignal {
    const scope = this.#innermostScope();
    const cancelled = (scope._flow as Task | null)?._cancelRequested() ?? false;
    return scope.signal(cancelled);
  }

  /**
   * How many requests to cancel were not taken back by `uncancel()`. Within a body that its limit has ended,
   * that counts as one.
   */
  cancelling(): number {
    let requests = this._cancelRequests;
    for (let scope = this.#innermostScope(); scope !== this._scope; scope = scope.parent as Scope) {
      if ((scope._flow as Task | null)?._cancelledItself) requests++;
    }
    return requests;
  }

  /** Takes one request to cancel back. Answers how many remain. */
  uncancel(): number {
    for (let scope = this.#innermostScope(); scope !== this._scope; scope = scope.parent as Scope) {
      (scope._flow as Task | null)?._takeBack();
    }
    this._takeBack();
    return this._cancelRequests;
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
  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    // Passing it on came back here: tasks that wait for each other in a circle.
    if (this._state !== 'pending' || this._passing) return false;
    this._cancelRequests++;
    way.enter(this);
    this._scope.cancel(reason, way);
    return true;
  }

  /** The first step, in the ready queue. @internal */
  _run(): void {
    const start = this.#start;
    if (start === null || this._state !== 'pending') return;
    this.#start = null;
    const cancel = this._scope.takeDue();
    if (cancel !== null) {
      this._finish('cancelled', cancel);
      return;
    }
    // Resolved within the task's context: a future that the function returns is a wait of the task, too.
    let promise: Promise<T>;
    try {
      promise = runInEntry(this._scope, () => Promise.resolve(start()));
    } catch (error) {
      this._failed(error);
      return;
    }
    promise.then(
      (value) => this._returned(value),
      (error) => this._failed(error),
    );
  }

  /** Whether the code that runs in its scope is to stop. @internal */
  _cancelRequested(): boolean {
    return this._cancelRequests > 0;
  }

  /** Whether it has cancelled its own code: a limit at its deadline. @internal */
  get _cancelledItself(): boolean {
    return false;
  }

  /** @internal */
  _takeBack(): void {
    if (this._cancelRequests === 0) return;
    this._cancelRequests--;
    if (this._cancelRequests === 0) this._scope.forgive();
  }

  /** @internal */
  _cancelStuck(): void {
    if (this.#start !== null || this.#stuckReport !== null) return;
    const loop = this._loop;
    const when = loop._backend.time() + STUCK_SECONDS;
    this.#stuckReport = loop._scheduler.callAt(when, () => this.#reportStuck(), []);
  }

  /** @internal */
  _cancelThrown(): void {
    this.#stuckReport?.cancel();
    this.#stuckReport = null;
  }

  /** @internal */
  _returned(value: T): void {
    if (this._state !== 'pending') return;
    // Cancelled, but no await of ours came before the end: asyncio then counts it as cancelled, not as done.
    if (this._scope.mustCancel) this._finish('cancelled', this._scope.takeDue());
    else this._finish('result', value);
  }

  /** @internal */
  _failed(error: unknown): void {
    if (this._state !== 'pending') return;
    const cancel = asCancel(error);
    if (cancel !== null) this._finish('cancelled', cancel);
    else this._finish('exception', error);
  }

  /** @internal */
  _finish(state: 'result' | 'exception' | 'cancelled', value: unknown): void {
    this._codeEnded();
    if (state !== 'exception') {
      this._settle(state, value);
      return;
    }
    const watched = this._waiters !== null;
    this._fail(value);
    if (!watched) this._tellSoon();
  }

  /** @internal */
  _codeEnded(): void {
    this._cancelThrown();
    this._loop._owned.tasks.delete(this);
    this._scope.close();
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
  _forceClose(): void {
    if (this._state !== 'pending') return;
    this.#start = null;
    const waiters = this._eachWaiter();
    this._end('cancelled', cancelError(undefined, `the event loop of task ${this.name} was closed`));
    for (const waiter of waiters) waiter._abandonWaiter?.();
  }

  /** The scope of the code that asks, if that is this task's; else the task's own. */
  #innermostScope(): Scope {
    const scope = currentEntry() as Scope | null;
    return scope?.root === this._scope ? scope : this._scope;
  }

  #reportStuck(): void {
    this.#stuckReport = null;
    this._loop.callExceptionHandler({
      message:
        `task ${this._path()} was cancelled ${STUCK_SECONDS} second ago, and does not end: it awaits a promise that is not of this loop, ` +
        'which nothing can interrupt. Give task.signal to the operation behind the promise, or await ensureFuture(promise)',
      task: this,
    });
  }

  /** Its name in reports. @internal */
  _path(): string {
    return this.name;
  }
}
