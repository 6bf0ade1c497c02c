/** The data that waits for encryption. No I/O. */
import { givenAway } from '../../base/given-away.ts';

/**
 * Bytes of one slice: the node backend passes on as much in one round of the host's loop. A larger slice
 * would only keep the data in memory twice, plain and encrypted.
 */
const SLICE_BYTES: number = 128 * 1024;

export class PlainQueue {
  #chunks: Uint8Array[] = [];
  /** The length of each chunk when it was written. */
  #lengths: number[] = [];
  #head: number = 0;
  /** Bytes of the first chunk that were taken already. */
  #offset: number = 0;

  get empty(): boolean {
    return this.#head === this.#chunks.length;
  }

  push(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.#chunks.push(chunk);
      this.#lengths.push(chunk.length);
    }
  }

  /**
   * Removes and returns the next slice. The queue must not be empty.
   *
   * @throws Error `EFAULT` if the ArrayBuffer of a chunk was transferred since it was written
   */
  take(): Uint8Array[] {
    const slice: Uint8Array[] = [];
    for (let room = SLICE_BYTES; room > 0 && !this.empty; ) {
      const chunk = this.#chunks[this.#head] as Uint8Array;
      if (chunk.length !== this.#lengths[this.#head]) throw givenAway();
      const piece = chunk.subarray(this.#offset, this.#offset + room);
      slice.push(piece);
      room -= piece.length;
      this.#offset += piece.length;
      if (this.#offset === chunk.length) this.#dropFirst();
    }
    return slice;
  }

  clear(): void {
    this.#chunks = [];
    this.#lengths = [];
    this.#head = 0;
    this.#offset = 0;
  }

  #dropFirst(): void {
    this.#chunks[this.#head++] = NOTHING;
    this.#offset = 0;
    if (this.empty) this.clear();
  }
}

const NOTHING = new Uint8Array(0);
