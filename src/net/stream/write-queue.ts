/**
 * The data that was written and has not left: first queued, then in flight, then gone. Sans-IO.
 *
 *   push ──▶ queued ──take──▶ in flight ──flushed──▶ gone
 *
 * While something is in flight, what is written meanwhile gathers in the queue and leaves together.
 */
import { givenAway } from '../../base/given-away.ts';

/** In place of an empty array: that would get room for 17 with the first chunk, and mostly there is one. */
const NOTHING: Uint8Array[] = [];

export class WriteQueue {
  #chunks: Uint8Array[] = NOTHING;
  #queuedBytes: number = 0;
  #inFlightBytes: number = 0;

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
    if (this.#chunks === NOTHING) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
  }

  /**
   * Takes all that is queued, which is in flight from now on.
   *
   * @throws Error `EFAULT` if there is more or less of it than was written: its owner has given the memory away
   */
  take(): Uint8Array[] {
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
    this.#chunks = NOTHING;
    this.#queuedBytes = 0;
    this.#inFlightBytes = 0;
  }
}
