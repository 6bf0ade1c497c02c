/** The chunks of a write that the kernel has not taken yet. No I/O. */

import { keepable } from '../../base/own-memory.ts';

/** Chunks in one system call: as in native/src/stream.c. */
const MOST_CHUNKS = 64;

/**
 * The next call: `count` chunks from `first` on, without the first `offset` bytes of the first one. `bytes`
 * is the total.
 */
export interface NextCall {
  first: number;
  count: number;
  offset: number;
  bytes: number;
}

export class Unsent {
  /** Chunks that were sent are replaced, so that they are not kept alive until the last one is sent. */
  readonly chunks: Uint8Array[];
  /** The length of each chunk when it was written. */
  readonly #lengths: number[];
  #first: number = 0;
  #offset: number = 0;

  constructor(chunks: Uint8Array[]) {
    this.chunks = chunks;
    this.#lengths = chunks.map(({ length }) => length);
  }

  get empty(): boolean {
    return this.#first === this.chunks.length;
  }

  /** Returns the next call; null if the memory of one of its chunks was transferred. */
  next(): NextCall | null {
    const first = this.#first;
    const end = Math.min(first + MOST_CHUNKS, this.chunks.length);
    let bytes = -this.#offset;
    for (let i = first; i < end; i++) {
      const length = this.#lengths[i] as number;
      if ((this.chunks[i] as Uint8Array).length !== length) return null;
      bytes += length;
    }
    return { first, count: end - first, offset: this.#offset, bytes };
  }

  /** The kernel took this many bytes. */
  sent(bytes: number): void {
    this.#offset += bytes;
    while (!this.empty && this.#offset >= this.#firstLength) this.#dropFirst();
  }

  /** The kernel took the rest of the first chunk. */
  firstSent(): void {
    this.sent(this.#firstLength - this.#offset);
  }

  /** The write must wait. Copies those chunks of the next call that are small parts of larger memory. */
  keep(): void {
    const end = Math.min(this.#first + MOST_CHUNKS, this.chunks.length);
    for (let i = this.#first; i < end; i++) {
      const chunk = this.chunks[i] as Uint8Array;
      // Its memory was transferred: `next()` reports that.
      if (chunk.length !== this.#lengths[i]) return;
      const rest = i === this.#first ? chunk.subarray(this.#offset) : chunk;
      const kept = keepable(rest);
      if (kept !== rest) this.#replace(i, kept);
    }
  }

  #replace(i: number, rest: Uint8Array): void {
    this.chunks[i] = rest;
    this.#lengths[i] = rest.length;
    if (i === this.#first) this.#offset = 0;
  }

  get #firstLength(): number {
    return this.#lengths[this.#first] as number;
  }

  #dropFirst(): void {
    this.#offset -= this.#firstLength;
    this.chunks[this.#first++] = NOTHING;
  }
}

const NOTHING = new Uint8Array(0);
