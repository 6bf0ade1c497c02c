/** A scheduled callback: what the ready queue and the timer heap hold. */
import type { DeadlineEntry } from '../base/deadline-heap.ts';
import { CapturedContext, callInContext } from './context.ts';
import { withOrigin } from './creation.ts';
import type { Scheduler } from './scheduler.ts';

/** What the ready queue holds: handles, and wake-ups of those who wait for a future. */
export interface Runnable {
  /** @internal */
  _run(scheduler: Scheduler): void;
  /** It will never run: the loop was closed. @internal */
  _abandonWaiter?(): void;
}

export type AnyCallback = (...args: unknown[]) => unknown;

export const NO_ARGS: unknown[] = [];

/**
 * What `callSoon` answers. The callback runs in the async context in which the handle was made.
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
export class Handle extends CapturedContext implements Runnable {
  /** Null once cancelled, so that a cancelled handle holds nothing alive. @internal */
  _callback: AnyCallback | null;
  /** @internal */
  _args: unknown[];

  /** @internal */
  constructor(callback: AnyCallback, args: unknown[]) {
    super();
    this._callback = callback;
    this._args = args.length === 0 ? NO_ARGS : args;
  }

  /** Keeps the callback from being called, if it was not called yet. Idempotent. */
  cancel(): void {
    this._callback = null;
    this._args = NO_ARGS;
  }

  /** Whether `cancel()` was called. */
  cancelled(): boolean {
    return this._callback === null;
  }

  /** @internal */
  _run(scheduler: Scheduler): void {
    if (this._callback === null) return;
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

// A function and not a private method: those cost each instance a hidden field, and `callSoon` half its
// speed.
/**
 * An async function as callback: its failure is a callback's failure, not a process-wide unhandled rejection.
 * By its `then`, and not by its class: a test runner runs each test in a realm of its own.
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

/** What `callLater` and `callAt` answer. */
export class TimerHandle extends Handle implements DeadlineEntry {
  /** @internal */ readonly _when: number;
  /** @internal */ readonly _seq: number;
  /** Where it waits, and null once it is due: the heap counts the dead among its own. @internal */
  _waitingIn: Scheduler | null;

  /** @internal */
  constructor(when: number, seq: number, scheduler: Scheduler, callback: AnyCallback, args: unknown[]) {
    super(callback, args);
    this._when = when;
    this._seq = seq;
    this._waitingIn = scheduler;
  }

  /** The deadline in seconds, on the clock of `loop.time()`. */
  when(): number {
    return this._when;
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
