import { InvalidStateError, QueueEmpty, QueueFull, QueueShutDown } from '../base/errors.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { checkBoolean, checkFunction, checkOptions, invalidArgType, outOfRange } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, failed, signalOf, succeeded } from '../tasks/settled.ts';
import { checkOrdered, naturalOrder, OrderedItems } from './ordered-items.ts';
import { QueuedWaiter, WaitQueue } from './wait-queue.ts';

/** Keeps the items of a queue, and decides which is next. @internal */
export interface ItemStore<T> {
  readonly length: number;
  push(item: T): void;
  /** Only to be called when there is one. */
  shift(): T | undefined;
  clear(): void;
}

/**
 * Hands items from tasks to tasks, first in, first out; with a limit, whoever puts too fast waits.
 *
 * - An item that is there, or a slot that is free, is taken at once and costs no turn of the loop, as in
 *   asyncio: also when a task that was woken for it has not run yet. That one keeps its place in the line.
 * - A waiting `get()` takes its item in the moment in which it ends, so a cancel never loses one.
 * - Iterating gets items until the queue is shut down and empty: `for await (const item of queue)`.
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
   * @param maxsize how many items it holds before `put()` waits; zero or less: any number. Default 0
   * @throws TypeError, RangeError when it is not an integer
   */
  constructor(maxsize: number = 0) {
    this.#maxsize = checkMaxsize('maxsize', maxsize);
    this._items = this._newStore();
  }

  /** How many items it holds before `put()` waits; zero or less: any number. */
  get maxsize(): number {
    return this.#maxsize;
  }

  /** How many items are in it. */
  qsize(): number {
    return this._items.length;
  }

  /** Whether no item is in it. */
  empty(): boolean {
    return this._items.length === 0;
  }

  /** Whether `maxsize` items are in it; never without a limit. */
  full(): boolean {
    return this.#maxsize > 0 && this._items.length >= this.#maxsize;
  }

  /**
   * Puts an item in, as soon as there is a free slot.
   *
   * @param item anything, `undefined` included
   * @param options `signal` to cancel the wait
   * @throws QueueShutDown (through the future) when the queue is shut down, before or meanwhile; LoopError
   *   (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError when tasks of another loop wait
   *
   * **Cancellation** leaves the line, and the item was not put. If a slot was meant for it, the next one is
   * woken.
   */
  put(item: T, options?: SignalOptions): Future<void> {
    this._checkItem(item);
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this.#shutDown) return failed(loop, shutDownError());
    if (!this.full()) {
      this.#add(item);
      return succeeded<void>(loop, undefined);
    }
    this.#checkLoop(loop);
    const putter = new Putter<T>(loop, this, item);
    this.#putters.push(putter);
    return cancelOnAbort(putter, signal);
  }

  /**
   * Puts an item in now. Needs no loop.
   *
   * @param item anything, `undefined` included
   * @throws QueueFull when there is no free slot; QueueShutDown when the queue is shut down
   */
  putNowait(item: T): void {
    this._checkItem(item);
    if (this.#shutDown) throw shutDownError();
    if (this.full()) throw new QueueFull(`putNowait(): the queue holds ${this.#maxsize} items, its limit`);
    this.#add(item);
  }

  /**
   * Takes the next item out, as soon as there is one.
   *
   * @param options `signal` to cancel the wait
   * @throws QueueShutDown (through the future) when the queue is shut down and empty, before or meanwhile;
   *   LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError when tasks of another loop wait
   *
   * **Cancellation** leaves the line and has taken nothing. If an item was meant for it, the next one is
   * woken.
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
   * Takes the next item out now. Needs no loop.
   *
   * @throws QueueEmpty when there is none; QueueShutDown when there is none and the queue is shut down
   */
  getNowait(): T {
    if (this._items.length > 0) return this.#take();
    if (this.#shutDown) throw shutDownError();
    throw new QueueEmpty('getNowait(): the queue is empty');
  }

  /**
   * Says that the work on an item that was taken out is done: see {@link join}.
   *
   * @throws InvalidStateError when it is called more often than items were put
   */
  taskDone(): void {
    if (this.#unfinished === 0) {
      throw new InvalidStateError('taskDone(): called more often than items were put into the queue');
    }
    this.#unfinished--;
    if (this.#unfinished === 0) this.#joiners.settleAll(undefined);
  }

  /**
   * Waits until `taskDone()` was called for every item that was put; costs no turn of the loop when it was.
   *
   * @param options `signal` to cancel the wait
   * @throws LoopError (`ERR_NO_RUNNING_LOOP`) outside of a loop; InvalidStateError when tasks of another loop
   *   wait
   *
   * **Cancellation** changes nothing for the others.
   */
  join(options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    const loop = runningLoop();
    if (signal?.aborted) return aborted(loop, signal);
    if (this.#unfinished === 0) return succeeded<void>(loop, undefined);
    this.#checkLoop(loop);
    const joiner = new QueuedWaiter<void>(loop, this);
    this.#joiners.push(joiner);
    return cancelOnAbort(joiner, signal);
  }

  /**
   * Ends the queue: nothing more can be put, and once it is empty nothing more can be got. Everybody who
   * waits to put, or to get when it is empty, gets a {@link QueueShutDown}. Idempotent. Needs no loop.
   *
   * @param immediate drops the items that are left and counts them as done, which may end a `join()`.
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
   * Gets item after item until the queue is shut down and empty. It does not call `taskDone()`.
   *
   * **Cancellation** of the task ends the wait for the next item, and takes none.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new QueueIterator(this);
  }

  /** @internal */
  _newStore(): ItemStore<T> {
    return new RingQueue<T>();
  }

  /** Throws for an item that the order has no place for. @internal */
  _checkItem(_item: T): void {}

  /**
   * Serves the line up to this waiter, as far as there is something to serve. Those before it may have been
   * woken after it: what they had been woken for before was taken by somebody who came along.
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

  /** The user's order threw. Nothing was put or taken, so somebody else may try. */
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

/** Waits for a slot, with what goes there. */
class Putter<T> extends QueuedWaiter<void> {
  readonly item: T;

  constructor(loop: Loop, queue: Queue<T>, item: T) {
    super(loop, queue as Queue<unknown>);
    this.item = item;
  }
}

/**
 * Leaving it (`break`, `return()`, a destroyed `Readable.from(queue)`) takes nothing more: items that come
 * later stay in the queue.
 */
class QueueIterator<T> implements AsyncIterableIterator<T> {
  readonly #queue: Queue<T>;
  /** Calls of `next()` that wait. */
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
  /** How many items it holds before `put()` waits; zero or less: any number. Default: 0. */
  maxsize?: number;
  /**
   * Negative when `a` comes before `b`, positive when after, 0 when the order of arrival decides. Default:
   * numbers, strings and dates by `<`, arrays by their first elements that differ, as Python's tuples.
   */
  compare?: (a: T, b: T) => number;
}

/**
 * A {@link Queue} that gives the least item first; of equal ones the one that came first.
 *
 * Items are usually `[priority, what]`. Whatever has no order of its own, as most objects, counts as equal
 * there, so that jobs of the same priority keep their order.
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
   * @param options how many items it holds before `put()` waits, or an object with `maxsize` and `compare`
   * @throws TypeError, RangeError for a size that is not an integer, and a `compare` that is no function.
   *   What `compare` throws later comes out of the operation that called it, and the queue is as it was
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
 * A {@link Queue} that gives the item first that was put last.
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
