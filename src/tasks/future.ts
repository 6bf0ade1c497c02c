/**
 * A result that is not there yet.
 *
 * It is a thenable and not a `Promise`, on purpose: for a thenable, `await` calls `then()` in the async context of whoever
 * awaits. There the awaiting task learns what it waits for (`Task._waits`), and so `task.cancel()` can reject
 * exactly that wait. For a native promise the engine takes a short cut that no library can see.
 *
 * Who waits is woken through the loop's ready queue, in order, never straight from `setResult()`: two tasks that feed
 * each other would starve timers and sockets otherwise. Awaiting what is already done costs no turn, as in asyncio.
 */
import { CancelledError, InvalidStateError, LoopError } from '../base/errors.ts';
import { checkFunction, checkString, invalidArgType } from '../base/validate.ts';
import { currentTaskOrNull } from '../loop/context.ts';
import type { AnyCallback, Runnable } from '../loop/handle.ts';
import { Handle } from '../loop/handle.ts';
import { rememberOrigin, withOrigin } from '../loop/origins.ts';
import type { Unretrieved } from '../loop/ownership.ts';
import type { Scheduler } from '../loop/scheduler.ts';
import type { Loop, TaskLike } from '../loop/types.ts';

/** What the library takes wherever it waits for something. */
export type Awaitable<T> = PromiseLike<T>;

/** A task as its futures see it. */
export interface WaitingTask extends TaskLike {
  /** A cancel that found nothing to reject; the next wake-up or wait takes it. @internal */
  _takeCancel(): CancelledError | null;
  /** @internal */ cancelling(): number;
  /** @internal */ _cancelLater(reason: CancelledError | null): void;
  /** @internal */ _waitsFor(wait: Wait): void;
  /** @internal */ _waitEnded(wait: Wait): void;
}

type State = 'pending' | 'result' | 'exception' | 'cancelled';

/** In place of a report: nobody has to look at this exception. */
const IGNORED: Unretrieved = { context: { message: '' } };

/** Reports exceptions that nobody looked at before their future was collected. */
const collected: FinalizationRegistry<{ loop: Loop; unretrieved: Unretrieved }> = new FinalizationRegistry(
  ({ loop, unretrieved }) => {
    if (loop._owned.unretrieved.delete(unretrieved)) loop.callExceptionHandler(unretrieved.context);
  },
);

/**
 * A result that is not there yet, of a loop. Await it, ask it, cancel it.
 *
 * An exception that nobody retrieves is reported through the loop's exception handler when the future is collected or
 * its loop closes, whichever comes first; it is never an `unhandledRejection` of the process.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run } from 'gyre';
 *
 * await run(async () => {
 *   const loop = getRunningLoop();
 *   const future = loop.createFuture<string>();
 *   loop.callLater(0.01, () => future.setResult('done'));
 *   console.log(await future);
 * });
 * ```
 */
export class Future<T = unknown> implements Promise<T> {
  /** @internal */ readonly _loop: Loop;
  /** @internal */ _state: State = 'pending';
  /** The result, the exception, or of a cancelled future what its CancelledError is made from. @internal */
  _value: unknown = undefined;
  /** Whom to wake, in order: nobody, one, or several. Most futures have one. @internal */
  _waiters: Runnable | Runnable[] | null = null;
  /** @internal */ _unretrieved: Unretrieved | null = null;
  /** Called once, synchronously, when it is done: takes the listener off a signal. @internal */
  _onSettled: (() => void) | null = null;

  /** Use `loop.createFuture()`. @internal */
  constructor(loop: Loop) {
    this._loop = loop;
    if (loop.debug) rememberOrigin(this, new.target);
  }

  get [Symbol.toStringTag](): string {
    return 'Future';
  }

  /** The loop it belongs to. */
  getLoop(): Loop {
    return this._loop;
  }

  /** Whether it has a result, an exception, or was cancelled. */
  done(): boolean {
    return this._state !== 'pending';
  }

  /** Whether it was cancelled. */
  cancelled(): boolean {
    return this._state === 'cancelled';
  }

  /**
   * The result.
   *
   * @throws its exception; {@link CancelledError} when it was cancelled; {@link InvalidStateError} when it is not done
   */
  result(): T {
    if (this._state === 'result') return this._value as T;
    throw this._failure();
  }

  /**
   * The exception, or null when it has a result.
   *
   * @throws {@link CancelledError} when it was cancelled; {@link InvalidStateError} when it is not done
   */
  exception(): unknown {
    if (this._state === 'result') return null;
    const failure = this._failure();
    if (this._state === 'exception') return failure;
    throw failure;
  }

  /**
   * Ends it with a {@link CancelledError}, and wakes who waits.
   *
   * @param message of the error
   * @returns false, and nothing happens, when it is done already
   */
  cancel(message?: string): boolean {
    if (message !== undefined) checkString('message', message);
    return this._cancel(message);
  }

  /** @throws {@link InvalidStateError} when it is done already */
  setResult(value: T): void {
    this._checkPending('setResult');
    this._settle('result', value);
  }

  /** @throws {@link InvalidStateError} when it is done already */
  setException(exception: unknown): void {
    if (exception === undefined || exception === null) {
      throw invalidArgType('exception', exception, 'an exception');
    }
    this._checkPending('setException');
    this._fail(exception);
  }

  /**
   * Calls `callback(future)` by `callSoon` once it is done, in the async context of this call. May be called for a done
   * future, and several times with the same function.
   *
   * @throws TypeError; LoopError `ERR_LOOP_CLOSED`
   */
  addDoneCallback(callback: (future: this) => unknown): void {
    checkFunction('callback', callback);
    if (this._loop.isClosed()) throw loopClosed();
    this._addWaiter(new Handle(callback as AnyCallback, [this]));
  }

  /** Takes all occurrences of `callback` off the list, and answers how many there were. */
  removeDoneCallback(callback: (future: this) => unknown): number {
    checkFunction('callback', callback);
    const matches = (waiter: Runnable) => waiter instanceof Handle && waiter._callback === callback;
    const waiters = this._waiters;
    if (waiters === null) return 0;
    if (!Array.isArray(waiters)) {
      if (!matches(waiters)) return 0;
      this._waiters = null;
      return 1;
    }
    const kept = waiters.filter((waiter) => !matches(waiter));
    this._waiters = kept;
    return waiters.length - kept.length;
  }

  /**
   * What `await` calls. With one handler it behaves as a promise's `then` does; with both it cannot be told from `await`, and a
   * handler then runs in the loop's turn: prefer `await`, or {@link addDoneCallback}, which keeps the async context.
   *
   * While it is pending, a task of another loop cannot await it (`ERR_INVALID_STATE`), and nobody what is of a closed one
   * (`ERR_LOOP_CLOSED`).
   */
  then<R1 = T, R2 = never>(
    onFulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    // biome-ignore lint/suspicious/noExplicitAny: as Promise has it: handlers say what they expect
    onRejected?: ((reason: any) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    if (typeof onFulfilled === 'function' && typeof onRejected === 'function') {
      const wait = new Wait(this as Future<unknown>, onFulfilled as OnSettled, onRejected as OnSettled);
      // A done future answers at once: `await` calls from a microtask, so nothing runs earlier than it should.
      if (this._state === 'pending') wait.begin();
      else wait.deliver();
      return wait as Promise<unknown> as Promise<R1 | R2>;
    }
    const promise = new Promise<T>((resolve, reject) => {
      void this.then(resolve, reject);
    });
    return promise.then(onFulfilled, onRejected);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  catch<R = never>(onRejected?: ((reason: any) => R | PromiseLike<R>) | null): Promise<T | R> {
    return this.then(undefined, onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.then().finally(onFinally);
  }

  /** As `cancel()`, with the error itself where there is one (the cause of an aborted signal). @internal */
  _cancel(reason: string | CancelledError | undefined): boolean {
    if (this._state !== 'pending') return false;
    this._settle('cancelled', reason);
    return true;
  }

  /** @internal */
  _fail(exception: unknown): void {
    this._watchRetrieval(exception);
    this._settle('exception', exception);
  }

  /** From now on, losing sight of this future without having looked at its exception is reported. @internal */
  _watchRetrieval(exception: unknown): void {
    if (this._unretrieved === IGNORED) return;
    const context = withOrigin({ message: this._neverRetrieved(), exception }, this);
    const unretrieved: Unretrieved = { context };
    const loop = this._loop;
    this._unretrieved = unretrieved;
    loop._owned.unretrieved.add(unretrieved);
    collected.register(this, { loop, unretrieved }, unretrieved);
  }

  /** Its exception, the one it has or one that comes, is not to be reported: somebody gave another one instead. @internal */
  _ignoreException(): void {
    if (this._state === 'pending') this._unretrieved = IGNORED;
    else this._retrieved();
  }

  /** @internal */
  _neverRetrieved(): string {
    return 'the exception of a future was never retrieved';
  }

  /** The exception, the CancelledError, or what is wrong with asking. Counts as retrieving. @internal */
  _failure(): unknown {
    switch (this._state) {
      case 'pending':
        return new InvalidStateError('the future is not done yet: there is no result to ask for');
      case 'cancelled':
        if (!(this._value instanceof CancelledError)) {
          this._value = new CancelledError(
            (this._value as string | undefined) ?? 'the operation was cancelled',
          );
        }
        return this._value;
      default:
        this._retrieved();
        return this._value;
    }
  }

  /** @internal */
  _retrieved(): void {
    const unretrieved = this._unretrieved;
    if (unretrieved === null) return;
    this._unretrieved = null;
    this._loop._owned.unretrieved.delete(unretrieved);
    collected.unregister(unretrieved);
  }

  /** Ends it; who waits is woken through the ready queue. @internal */
  _settle(state: State, value: unknown): void {
    const waiters = this._end(state, value);
    if (waiters === null) return;
    const scheduler = this._loop._scheduler;
    if (Array.isArray(waiters)) for (const waiter of waiters) scheduler.push(waiter);
    else scheduler.push(waiters);
  }

  /**
   * Ends it, and hands the result over to those who await it right now. For operations that are a coroutine in
   * asyncio (a connect, a lock's acquire): there is no moment between "done" and "delivered" in which a cancel could
   * lose what was acquired. Only to be called where the ready queue or a microtask runs it. @internal
   */
  _deliver(state: State, value: unknown): void {
    const waiters = this._end(state, value);
    if (waiters === null) return;
    if (Array.isArray(waiters)) for (const waiter of waiters) deliverTo(waiter, this._loop);
    else deliverTo(waiters, this._loop);
  }

  /** @internal */
  _end(state: State, value: unknown): Runnable | Runnable[] | null {
    this._state = state;
    this._value = value;
    const waiters = this._waiters;
    this._waiters = null;
    const onSettled = this._onSettled;
    if (onSettled !== null) {
      this._onSettled = null;
      onSettled();
    }
    return waiters;
  }

  /** Wakes `waiter` through the ready queue once it is done: now, if it is. @internal */
  _addWaiter(waiter: Runnable): void {
    if (this._state !== 'pending') this._loop._scheduler.push(waiter);
    else if (this._waiters === null) this._waiters = waiter;
    else if (Array.isArray(this._waiters)) this._waiters.push(waiter);
    else this._waiters = [this._waiters, waiter];
  }

  /** @internal */
  _removeWaiter(waiter: Runnable): void {
    if (this._waiters === waiter) {
      this._waiters = null;
    } else if (Array.isArray(this._waiters)) {
      const at = this._waiters.indexOf(waiter);
      if (at >= 0) this._waiters.splice(at, 1);
    }
  }

  /** @internal */
  _checkPending(method: string): void {
    if (this._state === 'pending') return;
    const state = this._state === 'cancelled' ? 'is cancelled' : `has its ${this._state} already`;
    throw new InvalidStateError(`${method}(): the future ${state}`);
  }
}

// Functions and underscores instead of private methods, here and in Wait: those cost each instance a hidden field.
function deliverTo(waiter: Runnable, loop: Loop): void {
  if (waiter instanceof Wait) waiter.end();
  else loop._scheduler.push(waiter);
}

/** Of a closed loop nobody is woken any more. */
function loopClosed(): LoopError {
  return new LoopError(
    'ERR_LOOP_CLOSED',
    'the event loop of this future is closed: it wakes nobody any more',
  );
}

type OnSettled = (value: unknown) => unknown;

/**
 * One `await` of a future: who waits, and how to go on.
 *
 * It is what `then()` answers, too. `await` throws that answer away, and a promise for each would make awaiting a quarter
 * dearer: so the promise is made when somebody asks for it.
 */
export class Wait implements Runnable, Promise<unknown> {
  readonly future: Future<unknown>;
  readonly #onFulfilled: OnSettled;
  readonly #onRejected: OnSettled;
  #task: WaitingTask | null = null;
  #settled: boolean = false;
  /** Of the handler, once it was called: wrapped in a promise if that failed. */
  #answer: unknown = undefined;
  #resolve: ((answer: unknown) => void) | null = null;

  constructor(future: Future<unknown>, onFulfilled: OnSettled, onRejected: OnSettled) {
    this.future = future;
    this.#onFulfilled = onFulfilled;
    this.#onRejected = onRejected;
  }

  get [Symbol.toStringTag](): string {
    return 'Promise';
  }

  /** The future is pending: takes a place in its list, and tells the task. */
  begin(): void {
    const task = currentTaskOrNull() as WaitingTask | null;
    if ((task as unknown) === this.future) throw new InvalidStateError('a task cannot await itself');
    this.#checkLoop(task);
    this.future._addWaiter(this);
    if (task === null) return;
    this.#task = task;
    task._waitsFor(this);
  }

  /** As in asyncio: the loop that wakes it may be stopped, or closed without a word, while the task's own runs on. */
  #checkLoop(task: WaitingTask | null): void {
    const { _loop: loop } = this.future;
    if (task !== null && task._loop !== loop) {
      throw new InvalidStateError('a task cannot await a future of another event loop');
    }
    if (task === null && loop.isClosed()) throw loopClosed();
  }

  /** In the ready queue, after the future was done. A task cancelled in between learns that instead of the result. */
  _run(): void {
    const task = this.#task;
    if (task === null) {
      this.deliver();
      return;
    }
    task._waitEnded(this);
    const cancel = task._takeCancel();
    if (cancel === null) {
      this.deliver();
      return;
    }
    this.future._retrieved();
    this._answer(this.#onRejected, cancel);
  }

  /** Delivered on the spot: what the operation gave cannot be lost to a cancel any more. */
  end(): void {
    this.#task?._waitEnded(this);
    this.deliver();
  }

  /** Its task passed a cancel on, and the future ended as if it had not. */
  cancelAgain(reason: CancelledError | null): void {
    const task = this.#task;
    if (task !== null && task.cancelling() > 0) task._cancelLater(reason);
  }

  /** The loop was closed: code outside of its tasks still learns how the future ended. */
  _abandon(): void {
    if (this.#task === null) this.deliver();
  }

  deliver(): void {
    const future = this.future;
    if (future._state === 'result') this._answer(this.#onFulfilled, future._value);
    else this._answer(this.#onRejected, future._failure());
  }

  then<R1 = unknown, R2 = never>(
    onFulfilled?: ((value: unknown) => R1 | PromiseLike<R1>) | null,
    // biome-ignore lint/suspicious/noExplicitAny: as Promise has it: handlers say what they expect
    onRejected?: ((reason: any) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    return this._promise().then(onFulfilled, onRejected);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  catch<R = never>(onRejected?: ((reason: any) => R | PromiseLike<R>) | null): Promise<unknown> {
    return this._promise().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<unknown> {
    return this._promise().finally(onFinally);
  }

  /** @internal */
  _promise(): Promise<unknown> {
    if (this.#settled) return Promise.resolve(this.#answer);
    const earlier = this.#resolve;
    return new Promise((resolve) => {
      this.#resolve = (answer) => {
        earlier?.(answer);
        resolve(answer);
      };
    });
  }

  /** @internal */
  _answer(handler: OnSettled, value: unknown): void {
    this.#settled = true;
    try {
      this.#answer = handler(value);
    } catch (error) {
      this.#answer = Promise.reject(error);
    }
    this.#resolve?.(this.#answer);
  }
}

/** What a future calls when it is done, for the library's own use: removable, and without a captured context. */
export class DoneCallback implements Runnable {
  readonly #future: Future<unknown>;
  readonly #callback: (future: Future<unknown>) => void;

  constructor(future: Future<unknown>, callback: (future: Future<unknown>) => void) {
    this.#future = future;
    this.#callback = callback;
    future._addWaiter(this);
  }

  remove(): void {
    this.#future._removeWaiter(this);
  }

  _run(_scheduler: Scheduler): void {
    this.#callback(this.#future);
  }
}
