/**
 * The data that was written and has not left yet. No I/O.
 *
 *   push ──▶ queued ──take──▶ in flight ──flushed──▶ gone
 *
 * Data that is written while other data is in flight is queued, and leaves in one piece. It may wait for
 * long, so `push` copies small parts of larger memory, one behind the other, into memory of the queue.
 */
import { givenAway } from '../../base/given-away.ts';
import { isSmallPart, ownBuffer } from '../../base/own-memory.ts';

/**
 * A shared empty array: the first `push` to a new array would reserve room for 17 chunks, and mostly there is
 * one.
 */
const NOTHING: Uint8Array[] = [];
/** Bytes: the largest buffer into which small chunks are copied. */
const LONGEST_TAIL_BYTES: number = 16 * 1024;

export class WriteQueue {
  #chunks: Uint8Array[] = NOTHING;
  #queuedBytes: number = 0;
  #inFlightBytes: number = 0;
  /** The last chunk, if it is a buffer of the queue with room for more; else null. */
  #tail: Buffer | null = null;
  #tailBytes: number = 0;

  /** Bytes that have not left: queued and in flight. */
  get size(): number {
    return this.#queuedBytes + this.#inFlightBytes;
  }

  get inFlight(): boolean {
    return this.#inFlightBytes > 0;
  }

  /** Whether there is data that can be sent now. */
  get sendable(): boolean {
    return this.#queuedBytes > 0 && this.#inFlightBytes === 0;
  }

  push(chunk: Uint8Array): void {
    if (this.#inFlightBytes > 0 && isSmallPart(chunk)) {
      this.#copy(chunk);
    } else {
      this.#endTail();
      this.#append(chunk);
    }
    this.#queuedBytes += chunk.length;
  }

  #append(chunk: Uint8Array): void {
    if (this.#chunks === NOTHING) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
  }

  /**
   * Copies a small chunk behind the others. The new buffer grows with the queue: a lone byte takes one byte.
   */
  #copy(chunk: Uint8Array): void {
    if (this.#tail === null || this.#tail.length - this.#tailBytes < chunk.length) {
      this.#endTail();
      this.#tail = ownBuffer(Math.max(chunk.length, Math.min(this.#queuedBytes, LONGEST_TAIL_BYTES)));
      this.#append(this.#tail);
    }
    this.#tail.set(chunk, this.#tailBytes);
    this.#tailBytes += chunk.length;
  }

  /** Cuts the last chunk to the bytes that were copied into it. */
  #endTail(): void {
    const tail = this.#tail;
    if (tail === null) return;
    if (this.#tailBytes < tail.length)
      this.#chunks[this.#chunks.length - 1] = tail.subarray(0, this.#tailBytes);
    this.#tail = null;
    this.#tailBytes = 0;
  }

  /**
   * Takes all queued data, which is then in flight.
   *
   * @throws Error `EFAULT` if the length of a chunk has changed since it was written, because its ArrayBuffer
   *   was transferred
   */
  take(): Uint8Array[] {
    this.#endTail();
    const chunks = this.#chunks;
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    if (bytes !== this.#queuedBytes) throw givenAway();
    this.#chunks = NOTHING;
    this.#inFlightBytes = this.#queuedBytes;
    this.#queuedBytes = 0;
    return chunks;
  }

  /** Marks the data in flight as sent. */
  flushed(): void {
    this.#inFlightBytes = 0;
  }

  /** Drops everything. */
  clear(): void {
    this.#endTail();
    this.#chunks = NOTHING;
    this.#queuedBytes = 0;
    this.#inFlightBytes = 0;
  }
}
