/**
 * An iteration over values that arrive by themselves: connections, signals, datagrams.
 *
 * The producer pushes values, and each `next()` takes one. A waiting `next()` takes its value in the step in
 * which it ends, so a cancel never loses a value.
 */
import { QueueShutDown } from '../base/errors.ts';
import { Queue } from '../sync/queue.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';

/** The producer of the values. */
export interface ArrivalsOwner<T> {
  /** A value was taken. @internal */
  _taken(value: T): void;
  /**
   * The iteration was left, by `break`, `return`, an exception or a cancel. Called at most once. @internal
   */
  _left(): void;
}

export class Arrivals<T> implements AsyncIterableIterator<T> {
  readonly #owner: ArrivalsOwner<T>;
  readonly #options: SignalOptions;
  readonly #waiting: Queue<T> = new Queue();
  #isOver: boolean = false;

  /** @param options `signal`: the next step throws its abort */
  constructor(owner: ArrivalsOwner<T>, options: SignalOptions = {}) {
    this.#owner = owner;
    this.#options = options;
  }

  /** The number of values that nobody has taken. */
  get length(): number {
    return this.#waiting.qsize();
  }

  push(value: T): void {
    this.#waiting.putNowait(value);
  }

  /** Ends the iteration. Returns the values that nobody has taken. */
  end(): T[] {
    const left: T[] = [];
    while (!this.#waiting.empty()) left.push(this.#waiting.getNowait());
    this.#waiting.shutdown();
    return left;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#isOver) return Promise.resolve(END);
    return this.#waiting.get(this.#options).then(
      (value) => {
        this.#owner._taken(value);
        return { value, done: false };
      },
      (error) => {
        this.#leave();
        if (error instanceof QueueShutDown) return END;
        throw error;
      },
    );
  }

  return(): Promise<IteratorResult<T>> {
    this.#leave();
    this.end();
    return Promise.resolve(END);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner._left();
  }
}

const END: IteratorReturnResult<undefined> = { value: undefined, done: true };
