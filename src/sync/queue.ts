import { InvalidStateError, QueueEmpty, QueueFull, QueueShutDown } from '../base/errors.ts';
import { counted, showInOneLine } from '../base/one-line.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { checkBoolean, checkFunction, checkOptions, invalidArgType, outOfRange } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, done, failed, signalOf, succeeded } from '../tasks/settled.ts';
import { checkOrdered, naturalOrder, OrderedItems } from './ordered-items.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/** Stores the items of a queue, and decides which is next. @internal */
export interface ItemStore<T> {
  readonly length: number;
  push(item: T): void;
  /** Removes the next item. There must be one. */
  shift(): T | undefined;
  clear(): void;
}

/**
 * Passes items between tasks, first in, first out. With a limit, `put()` waits while the queue is full.
 *
 * - An available item, or a free slot, is taken at once and costs no turn of the loop, as in asyncio. This
 *   holds even if another task was woken for it but has not run yet. That task keeps its place in the queue.
 * - A waiting `get()` takes its item in the step in which it ends, so a cancel never loses an item.
 * - Iteration gets items until the queue is shut down and empty: `for await (const item of queue)`.
 *
 * @example
 * ```ts
 * import { gather, Queue, run } from 'gyre';
 *
 * await run(async () => {
 *   const queue = new Queue<number>(2);
 *   const produce = async (): Promise<void> => {
 *     for (let i = 0; i < 5; i++) await queue.put(i);
 *     queue.shutdown();
 *   };
 *   const consume = async (): Promise<void> => {
 *     for await (const item of queue) console.log(item); // 0 to 4
 *   };
 *   await gather(produce(), consume());
 * });
 * ```
 */
export class Queue<T = unknown> implements AsyncIterable<T> {
  /** @internal */ readonly _items: ItemStore<T>;
  readonly #maxsize: number;
  readonly #getters: WaitQueue<QueuedWaiter<T>> = new WaitQueue();
  readonly #putters: WaitQueue<Putter<T>> = new WaitQueue();
  readonly #joiners: WaitQueue<QueuedWaiter<void>> = new WaitQueue();
  #unfinished: number = 0;
  #shutDown: boolean = false;

  /**
   * @param maxsize the number of items at which `put()` waits. Zero or less: no limit. Default 0
   * @throws TypeError, RangeError if it is not an integer
   */
  constructor(maxsize: number = 0) {
    this.#maxsize = checkMaxsize('maxsize', maxsize);
    this._items = this._newStore();
  }

  /** The number of items at which `put()` waits. Zero or less: no limit. */
  get maxsize(): number {
    return this.#maxsize;
  }

  /** Returns the number of items in the queue. */
  qsize(): number {
    return this._items.length;
  }

  /** Returns true if the queue has no items. */
  empty(): boolean {
    return this._items.length === 0;
  }

  /** Returns true if the queue has `maxsize` items; never without a limit. */
  full(): boolean {
    return this.#maxsize > 0 && this._items.length >= this.#maxsize;
  }

  /**
   * Puts an item into the queue, when there is a free slot.
   *
   * @param item any value, also `undefined`
   * @param options `signal` to cancel the wait
   * @throws QueueShutDown (as a rejection) if the queue is shut down, before the call or during the wait;
   *   LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError if tasks of another loop wait
   *
   * **Cancellation** leaves the queue of waiters, and the item was not put. If a slot was meant for this
   * call, the next waiter is woken.
   */
  put(item: T, options?: SignalOptions): Future<void> {
    this._checkItem(item);
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this.#shutDown) return failed(loop, shutDownError());
    if (!this.full()) {
      this.#add(item);
      return done(loop);
    }
    this.#checkLoop(loop);
    const putter = new Putter<T>(loop, this, item);
    this.#putters.push(putter);
    return cancelOnAbort(putter, signal);
  }

  /**
   * Puts an item into the queue now. It needs no running loop.
   *
   * @param item any value, also `undefined`
   * @throws QueueFull if there is no free slot; QueueShutDown if the queue is shut down
   */
  putNowait(item: T): void {
    this._checkItem(item);
    if (this.#shutDown) throw shutDownError();
    if (this.full()) throw new QueueFull(`putNowait(): the queue holds ${this.#maxsize} items, its limit`);
    this.#add(item);
  }

  /**
   * Removes the next item and returns it, when there is one.
   *
   * @param options `signal` to cancel the wait
   * @throws QueueShutDown (as a rejection) if the queue is shut down and empty, before the call or during the
   *   wait; LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError if tasks of another loop
   *   wait
   *
   * **Cancellation** leaves the queue of waiters, and no item was taken. If an item was meant for this call,
   * the next waiter is woken.
   */
  get(options?: SignalOptions): Future<T> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this._items.length > 0) return succeeded(loop, this.#take());
    if (this.#shutDown) return failed(loop, shutDownError());
    this.#checkLoop(loop);
    const getter = new QueuedWaiter<T>(loop, this);
    this.#getters.push(getter);
    return cancelOnAbort(getter, signal);
  }

  /**
   * Removes the next item and returns it now. It needs no running loop.
   *
   * @throws QueueEmpty if there is no item; QueueShutDown if there is no item and the queue is shut down
   */
  getNowait(): T {
    if (this._items.length > 0) return this.#take();
    if (this.#shutDown) throw shutDownError();
    throw new QueueEmpty('getNowait(): the queue is empty');
  }

  /**
   * Reports that the work on an item that was taken from the queue is done: see {@link join}.
   *
   * @throws InvalidStateError if it is called more often than items were put
   */
  taskDone(): void {
    if (this.#unfinished === 0) {
      throw new InvalidStateError('taskDone(): called more often than items were put into the queue');
    }
    this.#unfinished--;
    if (this.#unfinished === 0) this.#joiners.settleAll(undefined);
  }

  /**
   * Waits until `taskDone()` was called for every item that was put. If it was, the wait costs no turn of the
   * loop.
   *
   * @param options `signal` to cancel the wait
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError if tasks of another loop
   *   wait
   *
   * **Cancellation** does not affect other waiting tasks.
   */
  join(options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this.#unfinished === 0) return done(loop);
    this.#checkLoop(loop);
    const joiner = new QueuedWaiter<void>(loop, this);
    this.#joiners.push(joiner);
    return cancelOnAbort(joiner, signal);
  }

  /**
   * Shuts the queue down: no item can be put any more, and when the queue is empty, no item can be got. Tasks
   * that wait to put, or that wait to get from an empty queue, get a {@link QueueShutDown}. A second call
   * does nothing more. It needs no running loop.
   *
   * @param immediate true: drops the remaining items and counts them as done, which may end a `join()`.
   *   Default: false
   */
  shutdown(immediate: boolean = false): void {
    checkBoolean('immediate', immediate);
    this.#shutDown = true;
    if (immediate) {
      this.#unfinished = Math.max(this.#unfinished - this._items.length, 0);
      this._items.clear();
      if (this.#unfinished === 0) this.#joiners.settleAll(undefined);
    }
    this.#getters.wakeAll();
    this.#putters.wakeAll();
  }

  /**
   * Gets items until the queue is shut down and empty. It does not call `taskDone()`.
   *
   * **Cancellation** of the task ends the wait for the next item; no item is taken.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new QueueIterator(this);
  }

  /** @internal */
  _newStore(): ItemStore<T> {
    return new RingQueue<T>();
  }

  /** Throws for an item that cannot be ordered. @internal */
  _checkItem(_item: T): void {}

  /**
   * Serves the waiters up to this one, as far as items or slots are available. Waiters before it may have
   * been woken later, because another task took what they had been woken for first.
   *
   * @internal
   */
  _turnOf(waiter: QueuedWaiter<unknown>): void {
    if (waiter instanceof Putter) {
      while (waiter.line !== null && !this.full() && !this.#shutDown) this.#letPut();
    } else {
      while (waiter.line !== null && this._items.length > 0) this.#letGet();
    }
    if (waiter.line === null || !this.#shutDown) return;
    waiter.line.remove(waiter);
    waiter.fail(shutDownError());
  }

  /** @internal */
  _nameOf(waiter: QueuedWaiter<unknown>): string {
    const method = waiter instanceof Putter ? 'put' : waiter.line === this.#joiners ? 'join' : 'get';
    return `${this.constructor.name}.${method}()`;
  }

  /** @internal */
  _facts(): string {
    const items =
      this.#maxsize > 0 ? `${this.qsize()} of ${this.#maxsize} items` : counted(this.qsize(), 'item');
    const waiters = `${this.#getters.facts('get')}${this.#putters.facts('put')}${this.#joiners.facts('join')}`;
    return `${items}${this.#shutDown ? ', shut down' : ''}${waiters}`;
  }

  /** @internal */
  _more(): Record<string, unknown> {
    return { maxsize: this.#maxsize, unfinished: this.#unfinished };
  }

  /** @internal */
  _gaveUp(waiter: QueuedWaiter<unknown>): void {
    const { woken, line } = waiter;
    line?.remove(waiter);
    if (!woken) return;
    if (waiter instanceof Putter) {
      if (!this.full()) this.#putters.wakeNext();
    } else if (this._items.length > 0) {
      this.#getters.wakeNext();
    }
  }

  #letGet(): void {
    const getter = this.#getters.first as QueuedWaiter<T>;
    let item: T;
    try {
      item = this.#take();
    } catch (error) {
      this.#fail(getter, error);
      return;
    }
    this.#getters.remove(getter);
    getter.grant(item);
  }

  #letPut(): void {
    const putter = this.#putters.first as Putter<T>;
    try {
      this.#add(putter.item);
    } catch (error) {
      this.#fail(putter, error);
      return;
    }
    this.#putters.remove(putter);
    putter.grant();
  }

  /** The user's compare function threw. Nothing was put or taken, so another waiter may try. */
  #fail(waiter: QueuedWaiter<unknown>, error: unknown): void {
    this._gaveUp(waiter);
    waiter.fail(error);
  }

  #add(item: T): void {
    this._items.push(item);
    this.#unfinished++;
    this.#getters.wakeNext();
  }

  #take(): T {
    const item = this._items.shift() as T;
    this.#putters.wakeNext();
    return item;
  }

  #checkLoop(loop: Loop): void {
    this.#getters.checkLoop('Queue', loop);
    this.#putters.checkLoop('Queue', loop);
    this.#joiners.checkLoop('Queue', loop);
  }
}

showInOneLine(Queue);

/** A waiter for a free slot, with its item. */
class Putter<T> extends QueuedWaiter<void> {
  readonly item: T;

  constructor(loop: Loop, queue: Queue<T>, item: T) {
    super(loop, queue as Queue<unknown>);
    this.item = item;
  }
}

/**
 * Leaving the iteration (`break`, `return()`, a destroyed `Readable.from(queue)`) takes no more items: items
 * that come later stay in the queue.
 */
class QueueIterator<T> implements AsyncIterableIterator<T> {
  readonly #queue: Queue<T>;
  /** Pending calls of `next()`. */
  readonly #waiting: Set<Future<T>> = new Set();
  #left: boolean = false;

  constructor(queue: Queue<T>) {
    this.#queue = queue;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#left) return Promise.resolve(END);
    const queue = this.#queue;
    if (!queue.empty()) return Promise.resolve(gotItem(queue.getNowait()));
    const get = queue.get();
    this.#waiting.add(get);
    return get.then(
      (item) => {
        this.#waiting.delete(get);
        return gotItem(item);
      },
      (error) => {
        this.#waiting.delete(get);
        if (this.#left || error instanceof QueueShutDown) return END;
        throw error;
      },
    );
  }

  return(): Promise<IteratorResult<T>> {
    this.#left = true;
    for (const get of this.#waiting) get.cancel('the iterator was left');
    return Promise.resolve(END);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const END: IteratorReturnResult<undefined> = { value: undefined, done: true };

function gotItem<T>(value: T): IteratorYieldResult<T> {
  return { value, done: false };
}

/** Options of a {@link PriorityQueue}. */
export interface PriorityQueueOptions<T> {
  /** The number of items at which `put()` waits. Zero or less: no limit. Default: 0. */
  maxsize?: number;
  /**
   * Returns a negative number if `a` comes before `b`, a positive number if it comes after, and 0 if the
   * order of arrival decides. Default: numbers, strings and dates are compared with `<`, and arrays by their
   * first elements that differ, as Python's tuples.
   */
  compare?: (a: T, b: T) => number;
}

/**
 * A {@link Queue} that returns the smallest item first. Among equal items, the one that was put first comes
 * first.
 *
 * Items are usually `[priority, job]`. Objects without an order of their own, such as most jobs, count as
 * equal, so that jobs of the same priority keep their order.
 *
 * @example
 * ```ts
 * import { PriorityQueue, run } from 'gyre';
 *
 * await run(async () => {
 *   const queue = new PriorityQueue<[number, string]>();
 *   queue.putNowait([2, 'later']);
 *   queue.putNowait([1, 'first']);
 *   console.log(await queue.get()); // [ 1, 'first' ]
 *
 *   const longest = new PriorityQueue<string>({ compare: (a, b) => b.length - a.length });
 *   longest.putNowait('a');
 *   longest.putNowait('aaa');
 *   console.log(await longest.get()); // aaa
 * });
 * ```
 */
export class PriorityQueue<T = unknown> extends Queue<T> {
  readonly #natural: boolean;

  /**
   * @param options the number of items at which `put()` waits, or an object with `maxsize` and `compare`
   * @throws TypeError, RangeError for a size that is not an integer, and for a `compare` that is not a
   *   function. A later exception of `compare` is thrown by the operation that called it, and the queue is
   *   unchanged
   */
  constructor(options: number | PriorityQueueOptions<T> = 0) {
    const { maxsize = 0, compare } =
      typeof options === 'number' ? { maxsize: options } : checkPriorityOptions(options);
    super(maxsize);
    this.#natural = compare === undefined;
    (this._items as OrderedItems<T>).compare = compare ?? naturalOrder;
  }

  /** @internal */
  override _newStore(): ItemStore<T> {
    return new OrderedItems<T>();
  }

  /** @internal */
  override _checkItem(item: T): void {
    if (this.#natural) checkOrdered(item);
  }
}

/**
 * A {@link Queue} that returns the item that was put last first.
 *
 * @example
 * ```ts
 * import { LifoQueue, run } from 'gyre';
 *
 * await run(async () => {
 *   const stack = new LifoQueue<number>();
 *   stack.putNowait(1);
 *   stack.putNowait(2);
 *   console.log(await stack.get()); // 2
 * });
 * ```
 */
export class LifoQueue<T = unknown> extends Queue<T> {
  /** @internal */
  override _newStore(): ItemStore<T> {
    return new Stack<T>();
  }
}

class Stack<T> implements ItemStore<T> {
  readonly #items: T[] = [];

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    return this.#items.pop();
  }

  clear(): void {
    this.#items.length = 0;
  }
}

function shutDownError(): QueueShutDown {
  return new QueueShutDown('the queue is shut down');
}

function checkMaxsize(name: string, maxsize: unknown): number {
  const accepted = 'an integer; zero or less means no limit';
  if (typeof maxsize !== 'number') throw invalidArgType(name, maxsize, accepted);
  if (!Number.isSafeInteger(maxsize)) throw outOfRange(name, maxsize, accepted);
  return maxsize;
}

function checkPriorityOptions<T>(options: PriorityQueueOptions<T>): PriorityQueueOptions<T> {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgType('options', options, 'a number or an object');
  }
  checkOptions('options', options, ['maxsize', 'compare']);
  if (options.maxsize !== undefined) checkMaxsize('options.maxsize', options.maxsize);
  if (options.compare !== undefined) checkFunction('options.compare', options.compare);
  return options;
}
