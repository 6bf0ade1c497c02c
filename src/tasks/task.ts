/**
 * An async function that a loop runs, and that can be cancelled at any `await` of a future.
 *
 * A cancel works in these steps:
 * - The task's scope passes the request on to the futures that the task awaits (scope.ts). They are
 *   cancelled, so the `await` throws. A task that awaits another task passes the cancel on to it, as in
 *   asyncio; `shield()` prevents that.
 * - If the task has no wait (it has not started, or awaits a host promise), the cancel is due: the next wait
 *   for a pending future is cancelled when it begins.
 * - `task.signal` aborts at once in every case.
 */

import type { CancelledError } from '../base/errors.ts';
import type { Linked } from '../base/linked-list.ts';
import { brief, secondsText } from '../base/one-line.ts';
import type { SpanMessage } from '../loop/channels.ts';
import { taskSpans } from '../loop/channels.ts';
import { currentEntry, currentTaskOrNull, runInEntry } from '../loop/context.ts';
import type { ContextOptions } from '../loop/context-option.ts';
import { creationOf } from '../loop/creation.ts';
import type { Runnable, TimerHandle } from '../loop/handle.ts';
import type { OwnedTask } from '../loop/ownership.ts';
import { nextNumber } from '../loop/recorder.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import type { CancelReason, CancelWay, PassingTask } from './cancellation.ts';
import { asCancel, cancelError } from './cancellation.ts';
import { rememberInDevTools, runInDevTools } from './devtools-task.ts';
import { Future } from './future.ts';
import type { Flow } from './scope.ts';
import { Scope } from './scope.ts';

/** Gives each unnamed task a number, as asyncio does. */
let taskCount = 0;

/** Seconds until a cancelled task that still awaits a host promise is reported. */
const STUCK_SECONDS = 1;

export interface TaskOptions extends SignalOptions, ContextOptions {
  /** Shown in reports. Default: `Task-1`, `Task-2`, … */
  name?: string;
  /** Runs the first step now instead of in the next turn. Default: false. */
  eager?: boolean;
}

/**
 * The part of the public loop with which lower layers create tasks, so that the user's task factory makes
 * these, too.
 */
export interface TaskMaker extends Loop {
  createTask<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>, options?: TaskOptions): Task<T>;
  /** @internal */
  _createNamedTask<T>(fn: () => PromiseLike<T>, namer: TaskNamer): Task<T>;
}

/** Names a task when its name is first asked for. */
export interface TaskNamer {
  /** @internal */
  _taskName(): string;
}

/**
 * An async function that a loop runs: a {@link Future} of its result.
 *
 * `loop.createTask()` creates it. The loop keeps a strong reference while the task is pending.
 *
 * **Cancellation** `cancel()` makes the task's current `await` throw {@link CancelledError}, also inside
 * helper functions that it awaits. `finally` blocks run and may await. A task that catches the error and does
 * not rethrow it continues.
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
  /** For an unnamed task its number. */
  #name: string | number | TaskNamer;
  /** @internal */ readonly _scope: Scope;
  /** @internal */ readonly _number: number = nextNumber();
  /** @internal */ _passing: boolean = false;
  /** @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;
  /** The time of creation, on the loop's clock: that of the turn, if a turn created the task. @internal */
  readonly _createdAt: number;
  #start: (() => PromiseLike<T>) | null;
  /** @internal */ _cancelRequests: number = 0;
  #stuckReport: TimerHandle | null = null;

  /** Use `loop.createTask()`. @internal */
  constructor(
    loop: Loop,
    fn: () => PromiseLike<T>,
    name: string | TaskNamer | undefined,
    parent: Scope | null = null,
  ) {
    super(loop);
    this.#name = name ?? ++taskCount;
    this.#start = fn;
    this._createdAt = loop._scheduler.cheapTime();
    this._scope = new Scope(loop, parent, this as Flow);
    loop._owned.tasks.add(this);
    if (loop.debug) rememberInDevTools(this, this.name);
    // An operation has a parent.
    if (parent !== null) return;
    if (taskSpans.watched) taskSpans.begin(this.#spanMessage());
    loop._scheduler.recorder?.created(this._number);
  }

  override get [Symbol.toStringTag](): string {
    return 'Task';
  }

  /** The name in reports. */
  get name(): string {
    if (typeof this.#name === 'number') this.#name = `Task-${this.#name}`;
    else if (typeof this.#name === 'object') this.#name = this.#name._taskName();
    return this.#name;
  }

  set name(name: string) {
    this.#name = name;
  }

  /**
   * Aborts when the task is cancelled. Pass it to any operation that accepts a signal, for example as
   * `{ signal: currentTask()!.signal }` to `fetch()`. Inside the body of a timeout or a task group, it is the
   * body's signal, which also aborts at the deadline.
   *
   * If an operation listens to the signal when it aborts, that operation receives the cancel, and the task is
   * not interrupted a second time. After a cancel that was caught and taken back with `uncancel()`, the task
   * has a new signal.
   */
  get signal(): AbortSignal {
    const scope = this.#innermostScope();
    const cancelled = (scope._flow as Task | null)?._cancelRequested() ?? false;
    return scope.signal(cancelled);
  }

  /**
   * Returns the number of cancel requests that `uncancel()` did not take back. Inside a body that its timeout
   * has cancelled, that cancel counts as one request.
   */
  cancelling(): number {
    let requests = this._cancelRequests;
    for (let scope = this.#innermostScope(); scope !== this._scope; scope = scope.parent as Scope) {
      if ((scope._flow as Task | null)?._cancelledItself) requests++;
    }
    return requests;
  }

  /** Takes one cancel request back, and returns how many remain. */
  uncancel(): number {
    for (let scope = this.#innermostScope(); scope !== this._scope; scope = scope.parent as Scope) {
      (scope._flow as Task | null)?._takeBack();
    }
    this._takeBack();
    return this._cancelRequests;
  }

  /** Throws: only the task's own function can end the task. @internal */
  override setResult(_value: T): void {
    this._checkPending('setResult');
    throw new TypeError('a task gets its result from its function; setResult() is for futures');
  }

  /** Throws: only the task's own function can end the task. @internal */
  override setException(_exception: unknown): void {
    this._checkPending('setException');
    throw new TypeError('a task gets its exception from its function; setException() is for futures');
  }

  /** @internal */
  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    // If the request arrives here again, tasks wait for each other in a cycle.
    if (this._state !== 'pending' || this._passing) return false;
    this._cancelRequests++;
    way.enter(this);
    this._scope.cancel(reason, way);
    return true;
  }

  /** Runs the first step, in the ready queue. @internal */
  _run(): void {
    const start = this.#start;
    if (start === null || this._state !== 'pending') return;
    this.#start = null;
    const cancel = this._scope.takeDue();
    if (cancel !== null) {
      this._finish('cancelled', cancel);
      return;
    }
    if (this._scope.parent === null) this._loop._scheduler.recorder?.step(this._number);
    try {
      if (this._loop.debug) runInDevTools(this, () => runInEntry(this._scope, begin, this as Task<T>, start));
      else runInEntry(this._scope, begin, this as Task<T>, start);
    } catch (error) {
      this._failed(error);
    }
  }

  /** Returns true if the code in this task's scope must stop. @internal */
  _cancelRequested(): boolean {
    return this._cancelRequests > 0;
  }

  /** True if the operation cancelled its own body, as a limit does at its deadline. @internal */
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
    // The task was cancelled, but ended before its next await. It counts as cancelled, not as done, as in
    // asyncio.
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
    if (taskSpans.watched) taskSpans.finish(this.#spanMessage(), state === 'result' ? null : value, value);
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
    this.#recordEnd();
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

  /** @internal */
  override _facts(): string {
    const state = this._state === 'pending' ? this.#pendingFacts() : super._facts();
    return `${brief(this.name)} ${state}`;
  }

  /** @internal */
  _more(): Record<string, unknown> {
    const creation = creationOf(this);
    return {
      loop: this._loop,
      cancelling: this.cancelling(),
      ...(this.done() ? {} : { awaits: Array.from(this._scope.waits(), (wait) => wait.future) }),
      createdAt: this._createdAt,
      ...(creation === null ? {} : { createdBy: creation.owner }),
    };
  }

  /** @internal */
  override _asWait(): string {
    return `task ${brief(this.name)}`;
  }

  /** @internal */
  override _waitLabel(): string {
    return 'a task';
  }

  /** @internal */
  override _waitsFor(): readonly Future<unknown>[] {
    return this._state === 'pending' ? Array.from(this._scope.waits(), (wait) => wait.future as Future) : [];
  }

  /** True if the first step has run. @internal */
  get _hasBegun(): boolean {
    return this.#start === null;
  }

  #pendingFacts(): string {
    if (this.#start !== null) return 'not started';
    const age = secondsText(this._ageSeconds());
    const { lastWait } = this._scope;
    if (lastWait === null && currentTaskOrNull() === this) return `pending ${age}, running`;
    return `pending ${age}, at ${this._standsAt()}`;
  }

  /** Returns the seconds since the creation, on the loop's clock. @internal */
  _ageSeconds(): number {
    return Math.max(0, this._loop._backend.time() - this._createdAt);
  }

  /** Returns the wait at which the code of the task stands: `timeout() > sleep(5)`. @internal */
  _standsAt(): string {
    const { lastWait } = this._scope;
    return lastWait === null ? 'a promise of the host' : lastWait.future._asWait();
  }

  /** The loop was closed: the task ends as cancelled, and none of its code runs again. @internal */
  _forceClose(): void {
    if (this._state !== 'pending') return;
    this.#start = null;
    const waiters = this._eachWaiter();
    const error = cancelError(undefined, `the event loop of task ${this.name} was closed`);
    this.#recordEnd();
    this._end('cancelled', error);
    if (this._scope.parent === null && taskSpans.watched) taskSpans.finish(this.#spanMessage(), error);
    for (const waiter of waiters) waiter._abandonWaiter?.();
  }

  #recordEnd(): void {
    const { recorder } = this._loop._scheduler;
    if (recorder === null || this._scope.parent !== null) return;
    recorder.ended(this._number, typeof this.#name === 'number' ? this.#name : this.name);
  }

  #spanMessage(): SpanMessage {
    return { subject: this, name: this.name, loop: this._loop };
  }

  /** Returns the scope of the calling code if it belongs to this task, otherwise the task's own scope. */
  #innermostScope(): Scope {
    const scope = currentEntry() as Scope | null;
    return scope?.root === this._scope ? scope : this._scope;
  }

  #reportStuck(): void {
    this.#stuckReport = null;
    this._loop.callExceptionHandler({
      message:
        `task ${this._path()} was cancelled ${STUCK_SECONDS} second ago, and has not ended: it awaits a promise that is not a future of this loop, ` +
        'which cannot be interrupted. Pass task.signal to the operation behind the promise, or await ensureFuture(promise)',
      task: this,
    });
  }

  /** The task's name in reports. @internal */
  _path(): string {
    return this.name;
  }
}

/**
 * Starts the task's function, and follows it inside the task's context: if the function returns a future,
 * waiting for it is a wait of the task, too. A promise that is made outside would keep a second record of a
 * context.
 */
function begin<T>(task: Task<T>, start: () => PromiseLike<T>): void {
  Promise.resolve(start()).then(task._returned.bind(task), task._failed.bind(task));
}
