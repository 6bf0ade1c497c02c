/**
 * A result that is not there yet.
 *
 * It is a thenable and not a `Promise`, on purpose: for a thenable, `await` calls `then()` in the async
 * context of the code that awaits. There the wait finds its scope, and so a cancel of the scope can reject
 * exactly that wait. For a native promise the engine takes a short cut that no library can see.
 *
 * Who waits is woken through the loop's ready queue, in order, never straight from `setResult()`: two tasks
 * that feed each other would starve timers and sockets otherwise. Awaiting what is already done costs no
 * turn, as in asyncio.
 */
import { InvalidStateError } from '../base/errors.ts';
import { checkFunction, checkString, invalidArgType } from '../base/validate.ts';
import { rememberOrigin, withOrigin } from '../loop/creation.ts';
import type { AnyCallback, Runnable } from '../loop/handle.ts';
import { Handle } from '../loop/handle.ts';
import type { Unretrieved } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { CancelReason, CancelTarget, CancelWay } from './cancellation.ts';
import { cancelError, cancelNow } from './cancellation.ts';
import type { OnSettled } from './pending-await.ts';
import { loopClosed, PendingAwait } from './pending-await.ts';

/** What the library takes wherever it waits for something. */
export type Awaitable<T> = PromiseLike<T>;

type State = 'pending' | 'result' | 'exception' | 'cancelled';

/** In place of a report: nobody has to look at this exception. */
const IGNORED: Unretrieved = { context: { message: '' }, tellAt: null };

/** Reports exceptions that nobody looked at before their future was collected. */
const collected: FinalizationRegistry<{ loop: Loop; unretrieved: Unretrieved }> = new FinalizationRegistry(
  ({ loop, unretrieved }) => {
    if (loop._owned.unretrieved.delete(unretrieved)) loop.callExceptionHandler(unretrieved.context);
  },
);

/**
 * A result that is not there yet, of a loop. Await it, ask it, cancel it.
 *
 * An exception that nobody retrieves is reported through the loop's exception handler when the future is
 * collected or its loop closes, whichever comes first; it is never an `unhandledRejection` of the process.
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
  /** The result, the exception, or of a cancelled future the reason. @internal */
  _value: unknown = undefined;
  /** The entries to wake, in order: none, one, or several. Most futures have one. @internal */
  _waiters: Runnable | Set<Runnable> | null = null;
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
   * @throws its exception; {@link CancelledError} when it was cancelled; {@link InvalidStateError} when it is
   *   not done
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
    return cancelNow(this, message);
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
   * Calls `callback(future)` by `callSoon` once it is done, in the async context of this call. May be called
   * for a done future, and several times with the same function.
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
    const found = [...this._eachWaiter()].filter(matches);
    for (const waiter of found) this._removeWaiter(waiter);
    return found.length;
  }

  /**
   * Called by `await`. With both handlers it cannot be told from `await`, and a handler then runs in the
   * loop's turn: prefer `await`, or {@link addDoneCallback}, which keeps the async context. With one handler
   * it behaves as a promise's `then` does, and is no wait: no cancel of the caller ends it. The promise that
   * it answers can be awaited, and a cancel of that wait cancels this future.
   *
   * While it is pending, a task of another loop cannot await it (`ERR_INVALID_STATE`), and no code can await
   * a future of a closed loop (`ERR_LOOP_CLOSED`).
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
    // A done future answers at once: `await` calls from a microtask, so nothing runs earlier than it should.
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

  /** Whether its end is under way in the ready queue, and nothing can change it. @internal */
  _isEnding(): boolean {
    return false;
  }

  /** @internal */
  _fail(exception: unknown): void {
    this._watchRetrieval(exception);
    this._settle('exception', exception);
  }

  /**
   * From now on, losing sight of this future without having looked at its exception is reported. @internal
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

  /** As a task's: told after a second, if it was not retrieved by then. @internal */
  _tellSoon(): void {
    if (this._unretrieved !== null && this._unretrieved !== IGNORED)
      this._loop._owned.tellSoon(this._unretrieved);
  }

  /**
   * Its exception, the one it has or one that comes, is not to be reported: somebody gave another one
   * instead. @internal
   */
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

  /** Ends it; its waiters are woken through the ready queue. @internal */
  _settle(state: State, value: unknown): void {
    const waiters = this._end(state, value);
    if (waiters === null) return;
    const scheduler = this._loop._scheduler;
    if (waiters instanceof Set) for (const waiter of waiters) scheduler.push(waiter);
    else scheduler.push(waiters);
  }

  /**
   * Ends it, and hands the result over to those who await it right now. For operations that are a coroutine
   * in asyncio (a connect, a lock's acquire): there is no moment between "done" and "delivered" in which a
   * cancel could lose what was acquired. Only to be called where the ready queue or a microtask runs it.
   * @internal
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

  /** Wakes `waiter` through the ready queue once it is done: now, if it is. @internal */
  _addWaiter(waiter: Runnable): void {
    if (this._state !== 'pending') this._loop._scheduler.push(waiter);
    else if (this._waiters === null) this._waiters = waiter;
    else if (this._waiters instanceof Set) this._waiters.add(waiter);
    else this._waiters = new Set([this._waiters, waiter]);
  }

  /** In constant time: one future may have waiters by the thousand, which give up in any order. @internal */
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

// Functions instead of private methods: those cost each instance a hidden field.

/** A promise of the host's that ends as `future` does, and the wait that ends it, which is in no scope. */
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
 * The answer of `then()` with one handler, of `catch()` and `finally()`: a promise of the host's, and the
 * wait for the future that it hangs on.
 *
 * That wait is in no scope: `.catch()` on a task in the background takes no cancel. But the `await` in `await
 * sleep(60).catch(log)` is a wait of the code around it, and a cancel of it ends the sleep. So code that
 * awaits this awaits a future, which passes a cancel on.
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
    // A closed loop cancels no more, and the promise goes its way without it.
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
    // The promise has its handlers now, so its failure is told by whoever awaits this.
    promise.then(
      (value) => this._deliver('result', value),
      (error) => this._deliver('exception', error),
    );
  }

  /** Handlers that have begun cannot be cancelled. */
  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (this._state !== 'pending') return false;
    return this.#source._cancel(reason, way);
  }
}
