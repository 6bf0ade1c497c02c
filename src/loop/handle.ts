/** Scheduled callbacks: the elements of the ready queue and of the queue of deadlines. */
import type { DeadlineEntry } from '../base/deadline-queue.ts';
import { brief, secondsText, showInOneLine } from '../base/one-line.ts';
import { CapturedContext, callInContext } from './context.ts';
import type { ContextSnapshot } from './context-option.ts';
import { withOrigin } from './creation.ts';
import type { Scheduler } from './scheduler.ts';

/** An element of the ready queue: a handle, or the wake-up of a future's waiter. */
export interface Runnable {
  /** @internal */
  _run(scheduler: Scheduler): void;
  /** Called instead of `_run()` if the loop was closed. @internal */
  _abandonWaiter?(): void;
}

export type AnyCallback = (...args: unknown[]) => unknown;

export const NO_ARGS: unknown[] = [];

/**
 * The handle that `callSoon` returns. The callback runs in the async context in which the handle was created.
 *
 * @example
 * ```ts
 * import { run, sleep, getRunningLoop } from 'gyre';
 *
 * await run(async () => {
 *   const handle = getRunningLoop().callSoon(() => console.log('never printed'));
 *   handle.cancel();
 *   await sleep(0);
 *   console.log(handle.cancelled()); // true
 * });
 * ```
 */
export class Handle extends CapturedContext implements Runnable, Disposable {
  /** Null after a cancel, so that a cancelled handle keeps no object alive. @internal */
  _callback: AnyCallback | null;
  /** @internal */
  _args: unknown[];

  /** @internal */
  constructor(callback: AnyCallback, args: unknown[]) {
    super();
    this._callback = callback;
    this._args = args.length === 0 ? NO_ARGS : args;
  }

  /** Cancels the callback, if it was not called yet. A second call does nothing. */
  cancel(): void {
    this._callback = null;
    this._args = NO_ARGS;
  }

  /** Cancels the callback, as in `using timer = loop.callLater(5, giveUp)`. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  /** Returns true after `cancel()` was called. */
  cancelled(): boolean {
    return this._callback === null;
  }

  /** Returns the async context in which the callback runs, as `AsyncLocalStorage.snapshot()` does. */
  getContext(): ContextSnapshot {
    return (fn, ...args) => this.runInAsyncScope(fn, undefined, ...args);
  }

  /** @internal */
  _facts(): string {
    return this._callback === null ? 'cancelled' : brief(this._callback);
  }

  /** @internal */
  _run(scheduler: Scheduler): void {
    if (this._callback === null) return;
    if (scheduler.recorder !== null) scheduler.recorder.callback(this._callback);
    try {
      const result = this.runInAsyncScope(enter, undefined, this as Handle);
      if (typeof result === 'object' && result !== null) watch(this, scheduler, result);
    } catch (exception) {
      this._report(scheduler, exception);
    }
  }

  /** @internal */
  _report(scheduler: Scheduler, exception: unknown): void {
    scheduler.report(withOrigin({ message: 'exception in a callback', exception, handle: this }, this));
  }
}

showInOneLine(Handle);

// A function and not a private method: a private method costs each instance a hidden field, and halves the
// speed of `callSoon`.
/**
 * Reports the failure of an async callback as a callback's failure, not as an unhandled rejection of the
 * process. It checks for `then` and not for the class `Promise`, because a test runner runs each test in its
 * own realm.
 */
function watch(handle: Handle, scheduler: Scheduler, result: { then?: unknown }): void {
  if (typeof result.then !== 'function') return;
  result.then(
    () => {},
    (exception: unknown) => handle._report(scheduler, exception),
  );
}

function enter(handle: Handle): unknown {
  return callInContext(call, handle);
}

function call(handle: Handle): unknown {
  const callback = handle._callback as AnyCallback;
  const args = handle._args;
  switch (args.length) {
    case 0:
      return callback();
    case 1:
      return callback(args[0]);
    default:
      return callback(...args);
  }
}

/** The handle that `callLater` and `callAt` return. */
export class TimerHandle extends Handle implements DeadlineEntry<TimerHandle> {
  /** @internal */ readonly _when: number;
  /** @internal */ readonly _seq: number;
  /** @internal */ _next: TimerHandle | null;
  /**
   * The scheduler while the timer is in its queue, otherwise null. The queue counts its cancelled timers.
   * @internal
   */
  _waitingIn: Scheduler | null;

  /** @internal */
  constructor(when: number, seq: number, callback: AnyCallback, args: unknown[]) {
    super(callback, args);
    this._when = when;
    this._seq = seq;
    this._next = null;
    this._waitingIn = null;
  }

  /** Returns the deadline in seconds, on the clock of `loop.time()`. */
  when(): number {
    return this._when;
  }

  /** @internal */
  override _facts(): string {
    const facts = super._facts();
    const scheduler = this._waitingIn;
    if (scheduler === null) return facts;
    const left = this._when - scheduler.time();
    return `${facts}, ${left > 0 ? `due in ${secondsText(left)}` : 'due'}`;
  }

  override cancel(): void {
    if (this._callback === null) return;
    super.cancel();
    const scheduler = this._waitingIn;
    if (scheduler !== null) {
      this._waitingIn = null;
      scheduler.timers.cancelled();
    }
  }
}
