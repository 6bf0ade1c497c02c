/**
 * What was written and has not left: first queued, then in flight, then gone. Sans-IO.
 *
 *   push ──▶ queued ──take──▶ in flight ──flushed──▶ gone
 *
 * While something is in flight, what is written meanwhile gathers in the queue and leaves together.
 */
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

  /** All that is queued, which is now in flight. */
  take(): Uint8Array[] {
    const chunks = this.#chunks;
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
