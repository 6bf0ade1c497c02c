/** Reads of a stream that wait for data, and the iterators over a stream. */
import type { CancelReason, CancelWay } from '../tasks/cancellation.ts';
import { Waiter } from '../tasks/waiter.ts';
import type { Needle } from './read-buffer.ts';
import type { StreamReader } from './reader.ts';

/** The goal of a read. */
export type Want = 'some' | 'chunk' | 'all' | 'exactly' | 'until' | 'line';

/** A read that waits for data. */
export class PendingRead extends Waiter<unknown> {
  readonly want: Want;
  readonly bytes: number;
  readonly needle: Needle | null;
  /** Whether the result is an iterator's result. */
  readonly #item: boolean;

  constructor(reader: StreamReader, want: Want, bytes: number, needle: Needle | null, item: boolean) {
    super(reader._loop, reader);
    this.#item = item;
    this.want = want;
    this.bytes = bytes;
    this.needle = needle;
  }

  /** The read is woken when this many bytes are buffered; fewer cannot complete it. */
  get wakeAtBytes(): number {
    return this.want === 'all' ? Number.POSITIVE_INFINITY : this.want === 'exactly' ? this.bytes : 1;
  }

  override grant(taken: Buffer): void {
    super.grant(this.#item ? itemOf(taken) : taken);
  }

  /** Frees the reader for another read at once, also if this one was woken already. */
  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (!super._cancel(reason, way)) return false;
    this._owner._gaveUp(this);
    return true;
  }

  /**
   * Completes the read without an item, because its iterator was left, and frees the reader for another read.
   */
  leave(): void {
    if (this._state !== 'pending') return;
    this._settle('result', END);
    this._owner._gaveUp(this);
  }
}

/** An iterator over a stream. It is no async generator, which would cost three more microtasks an item. */
export class ReaderIterator implements AsyncIterableIterator<Buffer> {
  readonly #read: (item: true) => Promise<unknown>;
  #waiting: PendingRead | null = null;
  #ended: boolean = false;

  constructor(read: (item: true) => Promise<unknown>) {
    this.#read = read;
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#ended) return Promise.resolve(END);
    const next = this.#read(true);
    this.#waiting = next instanceof PendingRead ? next : null;
    return next as Promise<IteratorResult<Buffer, undefined>>;
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#ended = true;
    this.#waiting?.leave();
    this.#waiting = null;
    return Promise.resolve(END);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const END: IteratorReturnResult<undefined> = { value: undefined, done: true };

export function itemOf(taken: Buffer): IteratorResult<Buffer, undefined> {
  return taken.length === 0 ? END : { value: taken, done: false };
}
