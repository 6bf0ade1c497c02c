/**
 * The result of work that may not be finished yet.
 *
 * A future is a thenable and not a `Promise`, on purpose: for a thenable, `await` calls `then()` in the async
 * context of the code that awaits. There the `await` finds its scope, so a cancel of the scope can reject
 * exactly this `await`. For a native promise the engine takes a short cut that no library can observe.
 *
 * Waiters are woken through the loop's ready queue, in order, and never directly from `setResult()`.
 * Otherwise two tasks that feed each other would starve timers and sockets. Awaiting a done future costs no
 * turn, as in asyncio.
 */
import { CancelledError, InvalidStateError } from '../base/errors.ts';
import { brief, showInOneLine } from '../base/one-line.ts';
import { checkFunction, checkOptions, checkString, invalidArgType } from '../base/validate.ts';
import type { ContextOptions } from '../loop/context-option.ts';
import { checkContext, inContext } from '../loop/context-option.ts';
import { originOf, rememberOrigin, withOrigin } from '../loop/creation.ts';
import type { AnyCallback, Runnable } from '../loop/handle.ts';
import { Handle } from '../loop/handle.ts';
import type { Unretrieved } from '../loop/ownership.ts';
import type { Label } from '../loop/recorder.ts';
import type { Loop } from '../loop/types.ts';
import type { CancelReason, CancelTarget, CancelWay } from './cancellation.ts';
import { byTask, cancelError, cancelNow } from './cancellation.ts';
import type { OnSettled } from './pending-await.ts';
import { loopClosed, PendingAwait } from './pending-await.ts';

/** The type that every waiting function of the library accepts. */
export type Awaitable<T> = PromiseLike<T>;

/** The name of a wait for a future of which nothing more is known. */
const UNNAMED = 'a future';

const NO_FUTURES: readonly Future<unknown>[] = [];

type State = 'pending' | 'result' | 'exception' | 'cancelled';

/** Marks a future whose exception must not be reported. */
const IGNORED: Unretrieved = { context: { message: '' }, tellAt: null };

/** Reports an exception that was never retrieved, when its future was garbage-collected. */
const collected: FinalizationRegistry<{ loop: Loop; unretrieved: Unretrieved }> = new FinalizationRegistry(
  ({ loop, unretrieved }) => {
    if (loop._owned.unretrieved.delete(unretrieved)) loop.callExceptionHandler(unretrieved.context);
  },
);

/**
 * The result of work of a loop that may not be finished yet. It can be awaited, asked and cancelled.
 *
 * If nobody retrieves its exception, the loop's exception handler gets a report, when the future is
 * garbage-collected or when its loop closes. It is never an `unhandledRejection` of the process.
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
export class Future<T = unknown> implements Promise<T>, CancelTarget {
  /** @internal */ readonly _loop: Loop;
  /** @internal */ _state: State = 'pending';
  /** The result, the exception, or the reason of the cancel. @internal */
  _value: unknown = undefined;
  /** The entries to wake, in order: null, one entry, or a set. Most futures have one. @internal */
  _waiters: Runnable | Set<Runnable> | null = null;
  /** @internal */ _unretrieved: Unretrieved | null = null;
  /**
   * Called once, synchronously, when the future settles. It removes a signal's listener, for example.
   * @internal
   */
  _onSettled: (() => void) | null = null;

  /** Use `loop.createFuture()`. @internal */
  constructor(loop: Loop) {
    this._loop = loop;
    if (loop.debug) rememberOrigin(this, new.target);
  }

  get [Symbol.toStringTag](): string {
    return 'Future';
  }

  /** Returns the loop of this future. */
  getLoop(): Loop {
    return this._loop;
  }

  /** Returns true if the future has a result or an exception, or was cancelled. */
  done(): boolean {
    return this._state !== 'pending';
  }

  /** Returns true if the future was cancelled. */
  cancelled(): boolean {
    return this._state === 'cancelled';
  }

  /**
   * Returns the result.
   *
   * @throws the future's exception; {@link CancelledError} if it was cancelled; {@link InvalidStateError} if
   *   it is not done
   */
  result(): T {
    if (this._state === 'result') return this._value as T;
    throw this._failure();
  }

  /**
   * Returns the exception, or null if the future has a result.
   *
   * @throws {@link CancelledError} if it was cancelled; {@link InvalidStateError} if it is not done
   */
  exception(): unknown {
    if (this._state === 'result') return null;
    const failure = this._failure();
    if (this._state === 'exception') return failure;
    throw failure;
  }

  /**
   * Cancels the future: its waiters get a {@link CancelledError}, whose stack shows this call.
   *
   * @param message the message of the error. Default: a sentence that names the future and the calling task
   * @returns false if the future was already done; then nothing happens
   */
  cancel(message?: string): boolean {
    if (message !== undefined) checkString('message', message);
    if (this._state !== 'pending') return false;
    // Make the error here, so that its stack shows who cancelled.
    return cancelNow(this, new CancelledError(message ?? `${this._asCancelled()} was cancelled${byTask()}`));
  }

  /**
   * Completes the future with a result.
   *
   * @throws {@link InvalidStateError} if it is already done
   */
  setResult(value: T): void {
    this._checkPending('setResult');
    this._settle('result', value);
  }

  /**
   * Completes the future with an exception.
   *
   * @throws {@link InvalidStateError} if it is already done
   */
  setException(exception: unknown): void {
    if (exception === undefined || exception === null) {
      throw invalidArgType('exception', exception, 'an exception');
    }
    this._checkPending('setException');
    this._fail(exception);
  }

  /**
   * Schedules `callback(future)` with `callSoon` when the future is done, in the async context of this call.
   * The future may already be done, and the same function may be added several times.
   *
   * @param options `context`: another async context, from `AsyncLocalStorage.snapshot()`
   * @throws TypeError; LoopError `ERR_LOOP_CLOSED`
   */
  addDoneCallback(callback: (future: this) => unknown, options: ContextOptions = {}): void {
    checkFunction('callback', callback);
    checkOptions('options', options, ['context']);
    checkContext('options.context', options.context);
    if (this._loop.isClosed()) throw loopClosed();
    this._addWaiter(inContext(options.context, () => new Handle(callback as AnyCallback, [this])));
  }

  /** Removes all occurrences of `callback`, and returns how many there were. */
  removeDoneCallback(callback: (future: this) => unknown): number {
    checkFunction('callback', callback);
    const matches = (waiter: Runnable) => waiter instanceof Handle && waiter._callback === callback;
    const found = [...this._eachWaiter()].filter(matches);
    for (const waiter of found) this._removeWaiter(waiter);
    return found.length;
  }

  /**
   * Called by `await`. Prefer `await`, or {@link addDoneCallback}, which keeps the async context. A call with
   * two handlers looks the same as `await`, and the handlers run in the loop's turn. A call with one handler
   * behaves as a promise's `then`, and a cancel of the caller does not end it. It returns a promise; a cancel
   * of an `await` of that promise cancels this future.
   *
   * While the future is pending, a task of another loop cannot await it (`ERR_INVALID_STATE`), and no code
   * can await a future of a closed loop (`ERR_LOOP_CLOSED`).
   */
  then<R1 = T, R2 = never>(
    onFulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    // biome-ignore lint/suspicious/noExplicitAny: as Promise has it: handlers say what they expect
    onRejected?: ((reason: any) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    if (typeof onFulfilled !== 'function' || typeof onRejected !== 'function') {
      const [promise, wait] = asPromise<T>(this as Future<unknown>);
      return new ChainedPromise(promise.then(onFulfilled, onRejected), wait);
    }
    const wait = new PendingAwait(this as Future<unknown>, onFulfilled as OnSettled, onRejected as OnSettled);
    // A done future calls its handler at once. `await` calls `then()` in a microtask, so the handler does not
    // run too early.
    if (this._state === 'pending') wait.begin();
    else wait.deliver();
    return wait as Promise<unknown> as Promise<R1 | R2>;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  catch<R = never>(onRejected?: ((reason: any) => R | PromiseLike<R>) | null): Promise<T | R> {
    return this.then(undefined, onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.then().finally(onFinally);
  }

  /** @internal */
  _cancel(reason: CancelReason, _way: CancelWay): boolean {
    if (this._state !== 'pending') return false;
    this._settle('cancelled', reason);
    return true;
  }

  /** Returns true if the end is already in the ready queue, and nothing can change it. @internal */
  _isEnding(): boolean {
    return false;
  }

  /** @internal */
  _fail(exception: unknown): void {
    this._watchRetrieval(exception);
    this._settle('exception', exception);
  }

  /**
   * From now on, the exception is reported if the future is garbage-collected before it was retrieved.
   * @internal
   */
  _watchRetrieval(exception: unknown): void {
    if (this._unretrieved === IGNORED) return;
    const context = withOrigin({ message: this._neverRetrieved(), exception }, this);
    const unretrieved: Unretrieved = { context, tellAt: null };
    const loop = this._loop;
    this._unretrieved = unretrieved;
    loop._owned.unretrieved.add(unretrieved);
    collected.register(this, { loop, unretrieved }, unretrieved);
  }

  /** As for a task: reports the exception after a second, if it was not retrieved by then. @internal */
  _tellSoon(): void {
    if (this._unretrieved !== null && this._unretrieved !== IGNORED)
      this._loop._owned.tellSoon(this._unretrieved);
  }

  /**
   * Never report the exception of this future, now or later, because the caller got another exception
   * instead. @internal
   */
  _ignoreException(): void {
    if (this._state === 'pending') this._unretrieved = IGNORED;
    else this._retrieved();
  }

  /** @internal */
  _facts(): string {
    switch (this._state) {
      case 'pending':
        return this._asWait() === UNNAMED ? 'pending' : `pending, ${this._asWait()}`;
      case 'result':
        return `result ${brief(this._value)}`;
      case 'exception':
        return `exception ${brief(this._value)}`;
      default:
        return 'cancelled';
    }
  }

  /** Returns the name of a wait for this future: `sleep(5)`. @internal */
  _asWait(): string {
    return UNNAMED;
  }

  /**
   * Returns a name of the wait that costs nothing to make, for the recorder. null: the wait is not recorded.
   * @internal
   */
  _waitLabel(): Label | null {
    return this._asWait();
  }

  /**
   * Returns the futures whose ends this future waits for: those of a gather, the holder of a lock. @internal
   */
  _waitsFor(): readonly Future<unknown>[] {
    return NO_FUTURES;
  }

  /** Returns the stack of the call that began the wait, if it is known: in debug mode. @internal */
  _begunAt(): string | null {
    return originOf(this);
  }

  /** Returns the subject of the default message of a cancel. @internal */
  _asCancelled(): string {
    return this._asWait();
  }

  /** @internal */
  _neverRetrieved(): string {
    return 'the exception of a future was never retrieved';
  }

  /**
   * Returns the exception, the CancelledError, or an InvalidStateError. It counts as retrieving. @internal
   */
  _failure(): unknown {
    switch (this._state) {
      case 'pending':
        return new InvalidStateError('the future is not done yet, so it has no result');
      case 'cancelled':
        this._value = cancelError(this._value as CancelReason, 'the operation was cancelled');
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

  /** Settles the future. Its waiters are woken through the ready queue. @internal */
  _settle(state: State, value: unknown): void {
    const waiters = this._end(state, value);
    if (waiters === null) return;
    const scheduler = this._loop._scheduler;
    if (waiters instanceof Set) for (const waiter of waiters) scheduler.push(waiter);
    else scheduler.push(waiters);
  }

  /**
   * Settles the future, and delivers the result to its waiters at once. For operations that are a coroutine
   * in asyncio (a connect, a lock's acquire): there is no moment between "done" and "delivered" in which a
   * cancel could lose the acquired resource. Call it only from the ready queue or from a microtask. @internal
   */
  _deliver(state: State, value: unknown): void {
    const waiters = this._end(state, value);
    if (waiters === null) return;
    if (waiters instanceof Set) for (const waiter of waiters) deliverTo(waiter, this._loop);
    else deliverTo(waiters, this._loop);
  }

  /** @internal */
  _end(state: State, value: unknown): Runnable | Set<Runnable> | null {
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

  /**
   * Wakes `waiter` through the ready queue when the future is done, or now if it is done already. @internal
   */
  _addWaiter(waiter: Runnable): void {
    if (this._state !== 'pending') this._loop._scheduler.push(waiter);
    else if (this._waiters === null) this._waiters = waiter;
    else if (this._waiters instanceof Set) this._waiters.add(waiter);
    else this._waiters = new Set([this._waiters, waiter]);
  }

  /**
   * Takes constant time: a future may have thousands of waiters, which are cancelled in any order. @internal
   */
  _removeWaiter(waiter: Runnable): void {
    if (this._waiters === waiter) this._waiters = null;
    else if (this._waiters instanceof Set) this._waiters.delete(waiter);
  }

  /** @internal */
  _eachWaiter(): Iterable<Runnable> {
    if (this._waiters === null) return [];
    return this._waiters instanceof Set ? this._waiters : [this._waiters];
  }

  /** @internal */
  _checkPending(method: string): void {
    if (this._state === 'pending') return;
    const state = this._state === 'cancelled' ? 'is cancelled' : `has its ${this._state} already`;
    throw new InvalidStateError(`${method}(): the future ${state}`);
  }
}

showInOneLine(Future);

// Functions instead of private methods, because a private method costs each instance a hidden field.

/**
 * Returns a host promise that settles as `future` does, and the wait behind it, which belongs to no scope.
 */
function asPromise<T>(future: Future<unknown>): [Promise<T>, PendingAwait] {
  let onFulfilled: OnSettled | null = null;
  let onRejected: OnSettled | null = null;
  const promise = new Promise<T>((resolve, reject) => {
    onFulfilled = resolve as OnSettled;
    onRejected = reject;
  });
  const wait = new PendingAwait(
    future,
    onFulfilled as unknown as OnSettled,
    onRejected as unknown as OnSettled,
  );
  if (future._state === 'pending') wait.listen();
  else wait.deliver();
  return [promise, wait];
}

function deliverTo(waiter: Runnable, loop: Loop): void {
  if (waiter instanceof PendingAwait) waiter.end();
  else loop._scheduler.push(waiter);
}

/**
 * The promise that `then()` with one handler, `catch()` and `finally()` return: a host promise, and the wait
 * for the future behind it.
 *
 * That wait belongs to no scope, so `.catch()` on a task in the background takes no cancel. But the `await`
 * in `await sleep(60).catch(log)` belongs to the code around it, and a cancel of that code must end the
 * sleep. So code that awaits a ChainedPromise awaits a future, which passes a cancel on.
 */
class ChainedPromise<T> implements Promise<T> {
  readonly #promise: Promise<T>;
  readonly #source: PendingAwait;
  #future: Future<T> | null = null;

  constructor(promise: Promise<T>, source: PendingAwait) {
    this.#promise = promise;
    this.#source = source;
  }

  get [Symbol.toStringTag](): string {
    return 'Promise';
  }

  then<R1 = T, R2 = never>(
    onFulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    // biome-ignore lint/suspicious/noExplicitAny: as Promise has it: handlers say what they expect
    onRejected?: ((reason: any) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    if (typeof onFulfilled !== 'function' || typeof onRejected !== 'function') {
      return new ChainedPromise(this.#promise.then(onFulfilled, onRejected), this.#source);
    }
    // A closed loop cancels nothing, so the promise needs no future.
    if (this.#source.future._loop.isClosed()) return this.#promise.then(onFulfilled, onRejected);
    this.#future ??= new ChainedFuture(this.#promise, this.#source);
    return this.#future.then(onFulfilled, onRejected);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  catch<R = never>(onRejected?: ((reason: any) => R | PromiseLike<R>) | null): Promise<T | R> {
    return new ChainedPromise(this.#promise.catch(onRejected), this.#source);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return new ChainedPromise(this.#promise.finally(onFinally), this.#source);
  }
}

class ChainedFuture<T> extends Future<T> {
  readonly #source: PendingAwait;

  constructor(promise: Promise<T>, source: PendingAwait) {
    super(source.future._loop);
    this.#source = source;
    // The promise has handlers now, so the code that awaits this future gets its failure.
    promise.then(
      (value) => this._deliver('result', value),
      (error) => this._deliver('exception', error),
    );
  }

  override _waitsFor(): readonly Future<unknown>[] {
    return [this.#source.future];
  }

  /** Handlers that have started cannot be cancelled. */
  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (this._state !== 'pending') return false;
    return this.#source._cancel(reason, way);
  }
}
