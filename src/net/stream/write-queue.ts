/**
 * The data that was written and has not left: first queued, then in flight, then gone. Sans-IO.
 *
 *   push ──▶ queued ──take──▶ in flight ──flushed──▶ gone
 *
 * While something is in flight, what is written meanwhile gathers in the queue and leaves together. It may
 * wait for long, so small parts of larger memory are copied, one behind the other, into memory of the queue's
 * own.
 */
import { givenAway } from '../../base/given-away.ts';
import { isSmallPart, ownBuffer } from '../../base/own-memory.ts';

/** In place of an empty array: that would get room for 17 with the first chunk, and mostly there is one. */
const NOTHING: Uint8Array[] = [];
/** Bytes. */
const LONGEST_TAIL_BYTES: number = 16 * 1024;

export class WriteQueue {
  #chunks: Uint8Array[] = NOTHING;
  #queuedBytes: number = 0;
  #inFlightBytes: number = 0;
  /** The last chunk, if it is memory of our own with room for more; else null. */
  #tail: Buffer | null = null;
  #tailBytes: number = 0;

  /** Bytes that have not left. */
  get size(): number {
    return this.#queuedBytes + this.#inFlightBytes;
  }

  get inFlight(): boolean {
    return this.#inFlightBytes > 0;
  }

  /** There is something that could be sent now. */
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

  /** The more waits already, the more room is made: a lone byte takes a byte. */
  #copy(chunk: Uint8Array): void {
    if (this.#tail === null || this.#tail.length - this.#tailBytes < chunk.length) {
      this.#endTail();
      this.#tail = ownBuffer(Math.max(chunk.length, Math.min(this.#queuedBytes, LONGEST_TAIL_BYTES)));
      this.#append(this.#tail);
    }
    this.#tail.set(chunk, this.#tailBytes);
    this.#tailBytes += chunk.length;
  }

  /** The last chunk is as long as what was copied into it. */
  #endTail(): void {
    const tail = this.#tail;
    if (tail === null) return;
    if (this.#tailBytes < tail.length)
      this.#chunks[this.#chunks.length - 1] = tail.subarray(0, this.#tailBytes);
    this.#tail = null;
    this.#tailBytes = 0;
  }

  /**
   * Takes all that is queued, which is in flight from now on.
   *
   * @throws Error `EFAULT` if there is more or less of it than was written: its owner has given the memory
   *   away
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

  /** What was in flight has left. */
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
