/** The chunks of a write that the kernel has not taken yet, from a place in one of them on. Sans-IO. */

import { keepable } from '../../base/own-memory.ts';

/** Chunks of one system call: as in native/src/stream.c. */
const MOST_CHUNKS = 64;

/** The next call: so many chunks from one on, without the bytes of that one that have left. */
export interface NextCall {
  first: number;
  count: number;
  offset: number;
  bytes: number;
}

export class Unsent {
  /** Chunks that have left are replaced, so that they are not kept until the last one has. */
  readonly chunks: Uint8Array[];
  /** As they were written. */
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

  /** The next call; null if the owner of one of its chunks has given the memory away. */
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

  /** So many bytes have left. */
  left(bytes: number): void {
    this.#offset += bytes;
    while (!this.empty && this.#offset >= this.#firstLength) this.#dropFirst();
  }

  /** All of the first chunk has left. */
  firstLeft(): void {
    this.left(this.#firstLength - this.#offset);
  }

  /** The kernel takes no more for now: of the next call's chunks, small parts of larger memory are copied. */
  keep(): void {
    const end = Math.min(this.#first + MOST_CHUNKS, this.chunks.length);
    for (let i = this.#first; i < end; i++) {
      const chunk = this.chunks[i] as Uint8Array;
      // Given away: `next()` tells.
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
