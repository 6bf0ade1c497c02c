/**
 * One `await` of a future. It resumes the code that awaits.
 *
 * It is also the return value of `then()`. `await` ignores that value, and creating a promise for each would
 * make an await a quarter slower. So the promise is made only when it is used.
 */
import { InvalidStateError, LoopError } from '../base/errors.ts';
import { currentEntry } from '../loop/context.ts';
import type { Runnable } from '../loop/handle.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { cancelError } from './cancellation.ts';
import type { Future } from './future.ts';
import type { Scope, ScopedWait } from './scope.ts';

export type OnSettled = (value: unknown) => unknown;

/** The promise that `then()` stands for, made when somebody asks for it. */
interface Chained {
  readonly promise: Promise<unknown>;
  /** Null: it is settled. */
  readonly resolve: ((answer: unknown) => void) | null;
}

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
  /** The wake-up throws this cancel. */
  private due: { readonly reason: CancelReason } | null = null;
  /** Only this wait was ended; its future is still pending. */
  private alone: boolean = false;
  /** This wait passed a cancel on to its future, which accepted it. */
  private passedOn: boolean = false;
  private settled: boolean = false;
  /** The return value of the handler, or a rejected promise if the handler threw. */
  private answer: unknown = undefined;
  private chained: Chained | null = null;

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

  /** The scope of the task that waits, or null if it is code of no task. */
  get root(): Scope | null {
    return this.scope?.root ?? null;
  }

  /** Registers a wait for a pending future with the innermost scope of the code that awaits. */
  begin(): void {
    const { future } = this;
    const scope = currentEntry() as Scope | null;
    const task = scope?._task ?? null;
    if (task !== null && (task as unknown) === future)
      throw new InvalidStateError('a task cannot await itself');
    if (task !== null && task._loop !== future._loop) {
      // As in asyncio: the loop that wakes this future may stop or close, while the task's own loop keeps
      // running.
      throw new InvalidStateError('a task cannot await a future of another event loop');
    }
    this.listen(task === null);
    if (scope === null || scope._loop !== future._loop) return;
    this.scope = scope;
    scope.begin(this);
  }

  /** Waits for a pending future, without a scope: no cancel of the caller ends this wait. */
  listen(checksLoop: boolean = true): void {
    const { future } = this;
    if (checksLoop && future._loop.isClosed()) throw loopClosed();
    future._addWaiter(this);
  }

  throwAtWakeUp(reason: CancelReason): void {
    this.due = { reason };
  }

  forgive(): void {
    if (!this.alone) this.due = null;
  }

  _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (this.settled) return false;
    const { future } = this;
    if (future._cancel(reason, way)) {
      this.passedOn = true;
      return true;
    }
    this.throwAtWakeUp(reason);
    // The future cannot be cancelled and is not about to end, so end only this wait.
    if (!this.woken && !future._isEnding()) {
      this.alone = true;
      future._removeWaiter(this);
      future._loop._scheduler.push(this);
    }
    return true;
  }

  /**
   * The wake-up, in the ready queue. If a cancel came after the future was done, it is thrown instead of the
   * result.
   */
  _run(): void {
    this.scope?.end(this);
    // If there are two cancels, the first is thrown, as in asyncio.
    if (this.due === null || this.future._state === 'cancelled') {
      this.deliver();
      return;
    }
    this.future._retrieved();
    this.settle(this.onRejected, cancelError(this.due.reason, 'the task was cancelled'));
  }

  /** Delivers at once: a cancel can no longer lose the result of an operation. */
  end(): void {
    this.scope?.end(this);
    this.deliver();
  }

  /**
   * The scope passed a cancel on to the future, but the future ended without it. So the cancel is due again.
   */
  giveBack(reason: CancelReason, due: 'late' | 'yes'): void {
    if (this.passedOn) this.scope?.cancelLater(reason, due);
  }

  /** The loop was closed. Code outside of its tasks still learns how the future ended. */
  _abandonWaiter(): void {
    if (this.future._loop._owned.killed) return;
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
    this.chained ??= this.settled ? { promise: Promise.resolve(this.answer), resolve: null } : chained();
    return this.chained.promise;
  }

  private settle(handler: OnSettled, value: unknown): void {
    this.settled = true;
    try {
      this.answer = handler(value);
    } catch (error) {
      this.answer = Promise.reject(error);
    }
    this.chained?.resolve?.(this.answer);
  }
}

/** The error of an await on a closed loop, which wakes no code any more. */
export function loopClosed(): LoopError {
  return new LoopError(
    'ERR_LOOP_CLOSED',
    'the event loop of this future is closed, so awaiting it would never end',
  );
}

function chained(): Chained {
  let resolve: ((answer: unknown) => void) | null = null;
  const promise = new Promise<unknown>((resolvePromise) => {
    resolve = resolvePromise;
  });
  return { promise, resolve };
}
