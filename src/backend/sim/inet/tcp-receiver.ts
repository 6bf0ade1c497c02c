/**
 * The receiving half of a TCP connection, without I/O: it puts segments in order, and accounts for the
 * window.
 *
 *              read         next                       edge
 *   ────────────┼────────────┼───────────[out of order]─┼────
 *    with the   │  readable  │   may still arrive       │
 *    program    │            │                          │
 *               └──────────── capacity ─────────────────┘
 *
 * Offsets are those of the peer's stream: 0 is its SYN, 1 its first byte.
 */
import { ownBuffer, ownCopy } from '../../../base/own-memory.ts';

/** A segment behind a gap. */
interface Piece {
  readonly start: number;
  readonly data: Uint8Array;
}

export class TcpReceiver {
  next: number = 0;
  edge: number;
  readable: number = 0;
  /** The FIN has arrived, and everything before it. */
  finished: boolean = false;
  capacity: number;
  readonly #mss: number;
  #queue: Uint8Array[] = [];
  /** The index of the first chunk that is not read. */
  #first: number = 0;
  /** In order, without overlap. */
  #pieces: Piece[] = [];
  /** Where the FIN is, once it is known. */
  #finAt: number = -1;

  constructor(mss: number, capacity: number) {
    this.#mss = mss;
    this.capacity = capacity;
    this.edge = 1 + capacity;
  }

  /** Whether segments wait behind a gap. */
  get hasGap(): boolean {
    return this.#pieces.length > 0;
  }

  // --- arrival ---

  /** Takes a segment. Returns true if `next` has moved. */
  receive(start: number, data: Uint8Array, fin: boolean): boolean {
    const before = this.next;
    if (fin) this.#finAt = start + data.length;
    if (data.length > 0) {
      const skipped = Math.max(0, this.next - start);
      const length = Math.min(data.length, this.edge - start);
      if (skipped < length) {
        const fresh = skipped === 0 && length === data.length ? data : data.subarray(skipped, length);
        if (start <= this.next) this.#push(fresh);
        else this.#insert(start, fresh);
        if (this.#pieces.length > 0) this.#closeGap();
      }
    }
    if (this.next === this.#finAt && !this.finished) {
      this.finished = true;
      this.next++;
    }
    return this.next > before;
  }

  #push(data: Uint8Array): void {
    this.#queue.push(data);
    this.readable += data.length;
    this.next += data.length;
  }

  /** Keeps a segment behind a gap: the parts of it that no other piece has. */
  #insert(from: number, data: Uint8Array): void {
    const pieces: Piece[] = [];
    let start = from;
    const end = from + data.length;
    const keep = (until: number): void => {
      if (start < until) pieces.push({ start, data: data.subarray(start - from, until - from) });
    };
    for (const piece of this.#pieces) {
      if (start < end) keep(Math.min(piece.start, end));
      pieces.push(piece);
      start = Math.max(start, piece.start + piece.data.length);
    }
    keep(end);
    pieces.sort((one, other) => one.start - other.start);
    this.#pieces = pieces;
  }

  #closeGap(): void {
    while (this.#pieces.length > 0) {
      const { start, data } = this.#pieces[0] as Piece;
      if (start > this.next) return;
      this.#pieces.shift();
      const skipped = this.next - start;
      if (skipped < data.length) this.#push(skipped === 0 ? data : data.subarray(skipped));
    }
  }

  // --- the window ---

  /** Returns the window to advertise. It grows by a worthwhile amount or not at all, and never shrinks. */
  window(): number {
    if (this.#grows) this.edge = this.next + this.capacity - this.readable;
    return Math.max(0, this.edge - this.next);
  }

  /** Whether the sender should be told of the room that reads have made, as Linux decides. */
  get shouldTell(): boolean {
    const known = Math.max(0, this.edge - this.next);
    return 2 * known <= this.capacity && this.#grows && this.capacity - this.readable >= 2 * known;
  }

  get #grows(): boolean {
    const growth = this.next + this.capacity - this.readable - this.edge;
    return growth > 0 && growth >= Math.min(this.#mss, this.capacity / 2);
  }

  // --- reading ---

  /** Removes up to `length` bytes. Returns null if there are none. */
  read(length: number): Buffer | null {
    if (this.readable === 0 || length === 0) return null;
    const first = this.#queue[this.#first] as Uint8Array;
    if (first.length === this.readable && first.length <= length) {
      this.#queue.length = 0;
      this.#first = 0;
      this.readable = 0;
      return first as Buffer;
    }
    return this.#join(Math.min(length, this.readable));
  }

  #join(length: number): Buffer {
    this.readable -= length;
    const first = this.#queue[this.#first] as Uint8Array;
    if (first.length === length) {
      this.#first++;
      return first as Buffer;
    }
    if (first.length > length) {
      this.#queue[this.#first] = first.subarray(length);
      return ownCopy(first.subarray(0, length));
    }
    const data = ownBuffer(length);
    for (let at = 0; at < length; ) {
      const chunk = this.#queue[this.#first] as Uint8Array;
      const part = Math.min(chunk.length, length - at);
      if (part === chunk.length) this.#first++;
      else this.#queue[this.#first] = chunk.subarray(part);
      data.set(part === chunk.length ? chunk : chunk.subarray(0, part), at);
      at += part;
    }
    if (this.#first >= 64) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    return data;
  }

  /** Forgets all data: nobody reads it any more. */
  clear(): void {
    this.#queue = [];
    this.#first = 0;
    this.#pieces = [];
    this.readable = 0;
  }
}
