/**
 * The sending half of a TCP connection, without I/O: the bytes that wait or are not acknowledged, the peer's
 * window, and the time after which to send again.
 *
 *          una             next          edge            end
 *   ────────┼───────────────┼─────────────┼───────────────┼────
 *    acked  │   in flight   │ may be sent │  must wait    │
 *
 * All positions are offsets in the stream: 0 is the SYN, 1 the first byte, and the FIN takes one, too.
 */
import { ownBuffer } from '../../../base/own-memory.ts';

/** Seconds, as on Linux. */
const MIN_RTO = 0.2;
const MAX_RTO = 120;
const FIRST_RTO = 1;

/** Bytes that were written together. No part of its memory is shared, because the receiver gets it. */
interface Chunk {
  readonly start: number;
  /** Once a receiver has the data, it may have transferred it, and its length is 0. */
  readonly length: number;
  readonly data: Buffer;
}

export class TcpSender {
  una: number = 0;
  next: number = 0;
  /** Behind the last byte that was written, without the FIN. */
  end: number = 1;
  edge: number = 1;
  /** A FIN follows the last byte. */
  finishes: boolean = false;
  /** Timeouts since the peer has acknowledged something. */
  retries: number = 0;
  capacity: number;
  /** The longest segment, in bytes of data. */
  readonly mss: number;
  #chunks: Chunk[] = [];
  /** The index of the first chunk that is still needed. */
  #first: number = 0;
  /** The index of the chunk that was used last. */
  #cursor: number = 0;
  #smoothed: number = -1;
  #variation: number = 0;
  #rto: number = FIRST_RTO;
  /** The segment whose round trip is being measured: its end, and the time at which it was sent. */
  #timedEnd: number = -1;
  #timedAt: number = 0;

  constructor(mss: number, capacity: number) {
    this.mss = mss;
    this.capacity = capacity;
  }

  /** Bytes that are not acknowledged, also those that were not sent yet. */
  get queued(): number {
    // The FIN counts for no byte.
    return this.end - Math.min(Math.max(this.una, 1), this.end);
  }

  /** Bytes that a write would accept. */
  get room(): number {
    return Math.max(0, this.capacity - this.queued);
  }

  get inFlight(): boolean {
    return this.next > this.una;
  }

  /** Everything has been sent once, also the FIN. */
  get allSent(): boolean {
    return this.next >= this.#finishedEnd;
  }

  get allAcknowledged(): boolean {
    return this.una >= this.#finishedEnd;
  }

  get finSent(): boolean {
    return this.next > this.end;
  }

  get #finishedEnd(): number {
    return this.finishes ? this.end + 1 : this.end;
  }

  /** Seconds after which to send again what is in flight. */
  get timeout(): number {
    return Math.min(this.#rto * 2 ** this.retries, MAX_RTO);
  }

  // --- writing ---

  /** Copies up to `count` bytes from the chunks, behind their first `skip` bytes. */
  append(chunks: readonly Uint8Array[], skip: number, count: number): void {
    let index = 0;
    let from = skip;
    for (let left = count; left > 0; ) {
      const length = Math.min(left, this.mss);
      const data = ownBuffer(length);
      for (let at = 0; at < length; ) {
        const source = chunks[index] as Uint8Array;
        const part = Math.min(source.length - from, length - at);
        if (part <= 0) {
          from -= source.length;
          index++;
          continue;
        }
        data.set(part === source.length ? source : source.subarray(from, from + part), at);
        at += part;
        from += part;
      }
      this.#chunks.push({ start: this.end, length, data });
      this.end += length;
      left -= length;
    }
  }

  // --- segments ---

  /**
   * Returns the length of the segment that may be sent next; 0: there is none, or it is a FIN alone.
   *
   * @param nagle whether a short segment waits for the acknowledgement of those before it
   */
  nextLength(nagle: boolean): number {
    if (this.next >= this.end) return 0;
    const limit = Math.min(this.mss, this.edge - this.next);
    if (limit <= 0) return 0;
    const length = this.#lengthAt(this.next, limit);
    if (length === this.mss || !this.inFlight) return length;
    const isLast = this.next + length === this.end;
    // A small rest of the window is not worth a segment.
    const waits = isLast ? nagle && !this.finishes : length === limit;
    return waits ? 0 : length;
  }

  /** Whether the FIN may be sent behind the next `length` bytes. */
  mayFinish(length: number): boolean {
    return this.finishes && this.next + length === this.end && this.next + length < this.edge;
  }

  /** Returns the length of the segment to send again at `offset`. It is 0 for a FIN. */
  lengthAgain(offset: number): number {
    const limit = Math.min(this.mss, Math.min(this.next, this.end) - offset);
    return limit <= 0 ? 0 : this.#lengthAt(offset, limit);
  }

  /** Whether the FIN follows right behind the segment. */
  finFollows(offset: number, length: number): boolean {
    return this.finSent && offset + length === this.end;
  }

  /** Whole chunks, as long as they fit. */
  #lengthAt(offset: number, limit: number): number {
    const chunks = this.#chunks;
    let index = this.#indexOf(offset);
    const chunk = chunks[index] as Chunk;
    let length = chunk.start + chunk.length - offset;
    if (length >= limit) return limit;
    while (++index < chunks.length) {
      const more = (chunks[index] as Chunk).length;
      if (length + more > limit) break;
      length += more;
    }
    return length;
  }

  /** Returns bytes of the stream, in memory that nobody else has. */
  read(offset: number, length: number): Buffer {
    let index = this.#indexOf(offset);
    const first = this.#chunks[index] as Chunk;
    if (first.start === offset && first.length === length && first.data.length === length) return first.data;
    const data = ownBuffer(length).fill(0);
    for (let at = 0; at < length; index++) {
      const chunk = this.#chunks[index] as Chunk;
      const from = offset + at - chunk.start;
      const part = Math.min(chunk.length - from, length - at);
      // The receiver has transferred the memory, so it has these bytes, and ignores them.
      if (chunk.data.length > 0) data.set(chunk.data.subarray(from, from + part), at);
      at += part;
    }
    return data;
  }

  #indexOf(offset: number): number {
    const chunks = this.#chunks;
    let index = Math.max(this.#cursor, this.#first);
    if (index >= chunks.length) index = chunks.length - 1;
    while (index > this.#first && (chunks[index] as Chunk).start > offset) index--;
    while (index < chunks.length - 1 && (chunks[index + 1] as Chunk).start <= offset) index++;
    this.#cursor = index;
    return index;
  }

  /** A segment up to `end` was sent for the first time. */
  sent(end: number, now: number): void {
    this.next = end;
    if (this.#timedEnd >= 0) return;
    this.#timedEnd = end;
    this.#timedAt = now;
  }

  /** A segment was sent again: its acknowledgement tells nothing about the round trip (Karn). */
  sentAgain(): void {
    this.#timedEnd = -1;
  }

  // --- acknowledgements ---

  /** Returns true if the acknowledgement is a new one. It is not beyond `next`. */
  acknowledge(offset: number, now: number): boolean {
    if (offset <= this.una) return false;
    this.una = offset;
    this.retries = 0;
    if (this.#timedEnd >= 0 && offset >= this.#timedEnd) {
      this.#timedEnd = -1;
      this.#measured(now - this.#timedAt);
    }
    this.#drop(offset);
    return true;
  }

  /** Takes the peer's window. Its edge never moves back, so a smaller one comes from an older segment. */
  setWindow(acknowledged: number, window: number): void {
    const edge = acknowledged + window;
    if (edge > this.edge) this.edge = edge;
  }

  #measured(seconds: number): void {
    if (this.#smoothed < 0) {
      this.#smoothed = seconds;
      this.#variation = seconds / 2;
    } else {
      this.#variation += (Math.abs(seconds - this.#smoothed) - this.#variation) / 4;
      this.#smoothed += (seconds - this.#smoothed) / 8;
    }
    this.#rto = this.#smoothed + Math.max(4 * this.#variation, MIN_RTO);
  }

  #drop(offset: number): void {
    const chunks = this.#chunks;
    let first = this.#first;
    while (first < chunks.length) {
      const chunk = chunks[first] as Chunk;
      if (chunk.start + chunk.length > offset) break;
      first++;
    }
    if (first === chunks.length) {
      chunks.length = 0;
      this.#first = 0;
      this.#cursor = 0;
    } else if (first >= 64) {
      this.#chunks = chunks.slice(first);
      this.#cursor = Math.max(0, this.#cursor - first);
      this.#first = 0;
    } else {
      this.#first = first;
    }
  }

  /** Forgets all data: the connection is over. */
  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#cursor = 0;
    this.end = Math.max(1, Math.min(this.end, this.una));
  }
}
