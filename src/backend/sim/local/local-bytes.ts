/**
 * One direction of bytes between two ends on one host: a buffer of the kernel.
 *
 * A write takes room at once. The bytes arrive `LOOPBACK_SECONDS` later, in order, and the end after them.
 */
import { RingQueue } from '../../../base/ring-queue.ts';
import { LOOPBACK_SECONDS } from '../fabric/fabric.ts';
import type { SimHost } from '../host.ts';

/** Told from the timeline. */
export interface BytesReader {
  /** Bytes or the end have arrived, after a read that has left nothing. */
  onArrival(): void;
}

export interface BytesWriter {
  /** There is room again, after there was none or too little; or writing fails now. */
  onRoom(): void;
  /** The reader has gone. */
  onReaderGone(): void;
}

export class LocalBytes {
  reader: BytesReader | null = null;
  writer: BytesWriter | null = null;
  /** The error that follows the last bytes; null for a plain end. */
  failure: Error | null = null;
  readonly #host: SimHost;
  readonly #capacity: number;
  /** A write of up to this length is accepted as a whole or not at all. */
  readonly #atomic: number;
  readonly #chunks: RingQueue<Uint8Array> = new RingQueue();
  #arrived: number = 0;
  /** Bytes that take room, also those on their way. */
  #used: number = 0;
  #finishing: boolean = false;
  #finished: boolean = false;
  #abandoned: boolean = false;
  /** The reader has read everything. */
  #starved: boolean = true;
  /** The writer waits for room. */
  #blocked: boolean = false;

  constructor(host: SimHost, capacity: number, atomic: number = 0) {
    this.#host = host;
    this.#capacity = capacity;
    this.#atomic = atomic;
  }

  /** The number of bytes that have arrived. */
  get arrived(): number {
    return this.#arrived;
  }

  /** The number of bytes that were written and not read. */
  get unread(): number {
    return this.#used;
  }

  /** The writer has ended, and everything before was read. */
  get ended(): boolean {
    return this.#finished && this.#arrived === 0;
  }

  /** The reader has gone: nothing can be written any more. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** The writer has ended, or will have ended when everything has arrived. */
  get finishing(): boolean {
    return this.#finishing;
  }

  get hasRoom(): boolean {
    return this.#capacity - this.#used >= Math.max(1, this.#atomic);
  }

  // --- the writer's side ---

  /** Copies bytes, and returns how many were accepted. Only if it is neither ended nor abandoned. */
  write(data: Uint8Array): number {
    const room = this.#capacity - this.#used;
    const count = data.length <= room ? data.length : data.length <= this.#atomic ? 0 : room;
    if (count < data.length || count === room) this.#blocked = true;
    if (count === 0) return 0;
    const copy = new Uint8Array(count);
    copy.set(count === data.length ? data : data.subarray(0, count));
    this.#used += count;
    this.#host.kernelAfter(LOOPBACK_SECONDS, () => {
      if (this.#abandoned) return;
      this.#chunks.push(copy);
      this.#arrived += count;
      this.#tellReader();
    });
    return count;
  }

  /** Ends the bytes, after those that were written. */
  finish(failure: Error | null = null): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.failure = failure;
    this.#host.kernelAfter(LOOPBACK_SECONDS, () => {
      this.#finished = true;
      this.#tellReader();
    });
  }

  // --- the reader's side ---

  /** Removes up to `length` bytes. Returns null if none has arrived. The caller owns the memory. */
  read(length: number): Uint8Array | null {
    if (this.#arrived === 0) return null;
    const count = Math.min(length, this.#arrived);
    const bytes = this.#take(count);
    this.#arrived -= count;
    this.#used -= count;
    if (this.#arrived === 0) this.#starved = true;
    if (this.ended && this.failure !== null) this.#later(() => this.reader?.onArrival());
    if (this.#blocked && this.hasRoom) this.#tellWriter();
    return bytes;
  }

  /** Drops everything: the reader has gone. */
  abandon(): void {
    this.refuse();
    this.#chunks.clear();
    this.#arrived = 0;
    this.#used = 0;
  }

  /** Accepts nothing more. Bytes that have arrived can be read, and then the end. */
  refuse(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#finished = true;
    this.#used = this.#arrived;
    this.#later(() => this.#tellReader());
    if (this.#blocked) this.#tellWriter();
    this.#later(() => this.writer?.onReaderGone());
  }

  #take(count: number): Uint8Array {
    const first = this.#next(count);
    if (first.length === count) return first;
    const joined = new Uint8Array(count);
    joined.set(first);
    for (let offset = first.length; offset < count; ) {
      const part = this.#next(count - offset);
      joined.set(part, offset);
      offset += part.length;
    }
    return joined;
  }

  /** Removes the first chunk, or its first `most` bytes. */
  #next(most: number): Uint8Array {
    const chunk = this.#chunks.shift() as Uint8Array;
    if (chunk.length <= most) return chunk;
    this.#chunks.unshift(chunk.subarray(most));
    return chunk.slice(0, most);
  }

  // --- events ---

  #tellReader(): void {
    if (!this.#starved) return;
    this.#starved = false;
    this.reader?.onArrival();
  }

  #tellWriter(): void {
    this.#blocked = false;
    this.#later(() => this.writer?.onRoom());
  }

  #later(callback: () => void): void {
    this.#host.kernelAfter(0, callback);
  }
}
