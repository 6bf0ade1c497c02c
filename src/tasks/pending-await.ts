/**
 * One `await` of a future: how the code that awaits goes on.
 *
 * It is also the answer of `then()`. `await` throws that answer away, and a promise for each would make
 * awaiting a quarter dearer: so the promise is made when somebody asks for it.
 */
import { InvalidStateError, LoopError } from '../base/errors.ts';
import { currentEntry } from '../loop/context.ts';
import type { Runnable } from '../loop/handle.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { cancelError } from './cancellation.ts';
import type { Future } from './future.ts';
import type { Scope, ScopedWait } from './scope.ts';

export type OnSettled = (value: unknown) => unknown;

// Each await makes one. V8 defines `#` fields one by one, so `private` ones cost less.
export class PendingAwait implements Runnable, Promise<unknown>, ScopedWait {
  readonly future: Future<unknown>;
  endedBefore: number = 0;
  delivery: ScopedWait['delivery'] = null;
  previous: ScopedWait | null = null;
  next: ScopedWait | null = null;
  private readonly onFulfilled: OnSettled;
  private readonly onRejected: OnSettled;
  private scope: Scope | null = null;
  /** Its wake-up throws `reason`. */
  private throws: boolean = false;
  private reason: CancelReason = undefined;
  /** It was ended, and the future was not. */
  private alone: boolean = false;
  /** The future has taken a cancel that came this way. */
  private passedOn: boolean = false;
  private settled: boolean = false;
  /** The answer of the handler, once it was called: wrapped in a promise if that failed. */
  private answer: unknown = undefined;
  private promise: Promise<unknown> | null = null;
  private resolve: ((answer: unknown) => void) | null = null;

  constructor(future: Future<unknown>, onFulfilled: OnSettled, onRejected: OnSettled) {
    this.future = future;
    this.onFulfilled = onFulfilled;
    this.onRejected = onRejected;
  }

  get [Symbol.toStringTag](): string {
    return 'Promise';
  }

  get woken(): boolean {
    return this.alone || this.future._state !== 'pending';
  }

  /** The future is pending: the innermost scope of the code that awaits learns of it. */
  begin(): void {
    const { future } = this;
    const scope = currentEntry() as Scope | null;
    const task = scope?._task ?? null;
    if (task !== null && (task as unknown) === future)
      throw new InvalidStateError('a task cannot await itself');
    if (task !== null && task._loop !== future._loop) {
      // As in asyncio: the loop that wakes it may be stopped, or closed without a word, while the task's own
      // runs on.
      throw new InvalidStateError('a task cannot await a future of another event loop');
    }
    this.listen(task === null);
    if (scope === null || scope._loop !== future._loop) return;
    this.scope = scope;
    scope.begin(this);
  }

  /** The future is pending: it wakes this, and no cancel of the caller's ends the wait. */
  listen(checksLoop: boolean = true): void {
    const { future } = this;
    if (checksLoop && future._loop.isClosed()) throw loopClosed();
    future._addWaiter(this);
  }

  throwAtWakeUp(reason: CancelReason): void {
    this.throws = true;
    this.reason = reason;
  }

  forgive(): void {
    if (!this.alone) this.throws = false;
  }

  _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (this.settled) return false;
    const { future } = this;
    if (future._cancel(reason, way)) {
      this.passedOn = true;
      return true;
    }
    this.throwAtWakeUp(reason);
    // It cannot be cancelled and is not about to be done: only this wait can be ended.
    if (!this.woken && !future._isEnding()) {
      this.alone = true;
      future._removeWaiter(this);
      future._loop._scheduler.push(this);
    }
    return true;
  }

  /**
   * Its wake-up, in the ready queue. A cancel that came since the future was done is thrown instead of the
   * result.
   */
  _run(): void {
    this.scope?.end(this);
    // Of two cancels the first is thrown, as in asyncio.
    if (!this.throws || this.future._state === 'cancelled') {
      this.deliver();
      return;
    }
    this.future._retrieved();
    this.settle(this.onRejected, cancelError(this.reason, 'the task was cancelled'));
  }

  /** Delivered on the spot: the result of an operation cannot be lost to a cancel any more. */
  end(): void {
    this.scope?.end(this);
    this.deliver();
  }

  /** The scope passed a cancel on to the future, which ended as if it had not: the cancel is due again. */
  giveBack(reason: CancelReason, due: 'late' | 'yes'): void {
    if (this.passedOn) this.scope?.cancelLater(reason, due);
  }

  /** The loop was closed: code outside of its tasks still learns how the future ended. */
  _abandonWaiter(): void {
    if (this.scope === null || this.scope._task === null) this.deliver();
  }

  deliver(): void {
    const { future } = this;
    if (future._state === 'result') this.settle(this.onFulfilled, future._value);
    else this.settle(this.onRejected, future._failure());
  }

  then<R1 = unknown, R2 = never>(
    onFulfilled?: ((value: unknown) => R1 | PromiseLike<R1>) | null,
    // biome-ignore lint/suspicious/noExplicitAny: as Promise has it: handlers say what they expect
    onRejected?: ((reason: any) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    return this.asPromise().then(onFulfilled, onRejected);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  catch<R = never>(onRejected?: ((reason: any) => R | PromiseLike<R>) | null): Promise<unknown> {
    return this.asPromise().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<unknown> {
    return this.asPromise().finally(onFinally);
  }

  private asPromise(): Promise<unknown> {
    if (this.promise !== null) return this.promise;
    this.promise = this.settled
      ? Promise.resolve(this.answer)
      : new Promise((resolve) => {
          this.resolve = resolve;
        });
    return this.promise;
  }

  private settle(handler: OnSettled, value: unknown): void {
    this.settled = true;
    try {
      this.answer = handler(value);
    } catch (error) {
      this.answer = Promise.reject(error);
    }
    this.resolve?.(this.answer);
  }
}

/** The loop is closed: it wakes no code any more. */
export function loopClosed(): LoopError {
  return new LoopError(
    'ERR_LOOP_CLOSED',
    'the event loop of this future is closed: it wakes no code any more',
  );
}
