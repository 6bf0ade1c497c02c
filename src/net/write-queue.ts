/**
 * What was written and has not left: first queued, then in flight, then gone. Sans-IO.
 *
 *   push ──▶ queued ──take──▶ in flight ──flushed──▶ gone
 *
 * While something is in flight, what is written meanwhile gathers in the queue and leaves together.
 */
export class WriteQueue {
  #chunks: Uint8Array[] = [];
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
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
  }

  /** All that is queued, which is now in flight. */
  take(): Uint8Array[] {
    const chunks = this.#chunks;
    this.#chunks = [];
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
    this.#chunks = [];
    this.#queuedBytes = 0;
    this.#inFlightBytes = 0;
  }
}
