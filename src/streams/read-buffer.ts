/**
 * The data that was received and not read yet. No I/O, no futures.
 *
 *        head                                at
 *         v                                   v
 *   [ x,  ··####  ######################  ########  ##### ]     chunks, as received
 *           ^offset                         ^searched
 *
 * Bytes left of `offset` are taken. A piece inside one chunk is returned as a view. Only a piece across
 * chunks is copied, once. So the work is linear in the number of bytes, for chunks of any size.
 *
 * The last needle does not begin left of `searched`, which counts from the first byte that is not taken. So a
 * search after each chunk costs no more than one search at the end.
 *
 * A search for several parts goes through windows, each twice as long as the one before. Otherwise a part
 * that is absent would be searched for to the end of the buffer, for each match of another part.
 */

import { givenAwayUnread } from '../base/given-away.ts';
import { keepable, ownBuffer, ownJoin } from '../base/own-memory.ts';

/**
 * Bytes. Small neighbouring chunks are joined up to this size, so that a peer that sends single bytes does
 * not cost an object for each.
 */
const MERGE_UP_TO_BYTES = 1024;

/** The pattern of {@link ReadBuffer.find}: one or more byte sequences, none of them empty. */
export class Needle {
  /** Sorted by length: if two parts end at the same byte, the shorter one is the match. */
  readonly parts: readonly Buffer[];
  readonly longest: number;

  /** Copies the parts. */
  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts.map((part) => Buffer.from(part)).sort((a, b) => a.length - b.length);
    this.longest = (this.parts[this.parts.length - 1] as Buffer).length;
  }

  equals(other: Needle): boolean {
    return (
      this.parts.length === other.parts.length &&
      this.parts.every((part, i) => part.equals(other.parts[i] as Buffer))
    );
  }
}

/** Bytes of the first window, unless the last match was farther away. */
const SHORTEST_WINDOW_BYTES = 64;

const EMPTY: Buffer = Buffer.alloc(0);

/**
 * A shared empty array: the first `push` to a new array would reserve room for 17 chunks, and mostly there is
 * one.
 */
const NOTHING: Buffer[] = [];

export class ReadBuffer {
  /** Bytes that can be taken. */
  length: number = 0;
  /** The position of the last match of {@link find}. */
  matchStart: number = -1;

  #chunks: Buffer[] = NOTHING;
  #head: number = 0;
  #offset: number = 0;
  /** `keep()` has checked the chunks before this index. */
  #kept: number = 0;

  #needle: Needle | null = null;
  #window: number = SHORTEST_WINDOW_BYTES;
  #searched: number = 0;
  /**
   * The index of the chunk with the position `searched`, or of the last chunk; and the position of its first
   * byte, including taken ones.
   */
  #at: number = 0;
  #atStart: number = 0;

  /** Appends a chunk. The buffer owns it from now on. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.length += chunk.length;
    const chunks = this.#chunks;
    if (chunks === NOTHING) {
      this.#chunks = [chunk];
      return;
    }
    const last = chunks[chunks.length - 1] as Buffer;
    // A chunk whose memory was transferred has no bytes. Don't join it, or `chunk` would take the place of
    // the lost bytes.
    if (last.length > 0 && last.length + chunk.length <= MERGE_UP_TO_BYTES)
      chunks[chunks.length - 1] = ownJoin(last, chunk);
    else chunks.push(chunk);
  }

  /** Copies small parts of larger memory, because the data may stay for long. */
  keep(): void {
    const chunks = this.#chunks;
    if (this.#offset > 0) this.#keepHead();
    for (let i = Math.max(this.#kept, this.#head); i < chunks.length; i++) {
      const chunk = chunks[i] as Buffer;
      // An empty chunk means that its ArrayBuffer was transferred; the next read reports that.
      if (chunk.length > 0) chunks[i] = keepable(chunk);
    }
    this.#kept = chunks.length;
  }

  /** Returns the length of the longest piece that can be taken without a copy; 0 if the buffer is empty. */
  firstLength(): number {
    return this.length === 0 ? 0 : this.#first().length - this.#offset;
  }

  /** Removes and returns the first `n` bytes. There must be as many. */
  take(n: number): Buffer {
    if (n === 0) return EMPTY;
    const first = this.#first();
    const start = this.#offset;
    const end = start + n;
    let taken: Buffer;
    if (end <= first.length) {
      taken = n === first.length ? first : first.subarray(start, end);
      this.#drop(n);
    } else {
      taken = this.#gather(n);
    }
    return taken;
  }

  /** Removes the first `n` bytes. There must be as many. */
  discard(n: number): void {
    let left = n;
    while (left > 0) {
      const step = Math.min(left, this.firstLength());
      this.#drop(step);
      left -= step;
    }
  }

  /** Finds the match that ends first. Returns its end, or -1, and sets {@link matchStart} to its start. */
  find(needle: Needle): number {
    if (this.length > 0) this.#first();
    if (needle !== this.#needle) {
      if (this.#needle === null || !needle.equals(this.#needle)) this.#searchFromStart();
      this.#needle = needle;
    }
    const from = this.#searched;
    const several = needle.parts.length > 1;
    for (let window = Math.max(this.#window, 2 * needle.longest); ; window *= 2) {
      const until = several ? Math.min(this.#searched + window, this.length) : this.length;
      const matchEnd = this.#findUntil(needle, until);
      if (matchEnd >= 0) {
        // The next match is often as far away. Take at most twice the distance, so that all windows together
        // stay linear in the number of bytes.
        if (several) this.#window = Math.max(2 * (matchEnd - from), SHORTEST_WINDOW_BYTES);
        return matchEnd;
      }
      this.#nothingBefore(until - needle.longest + 1);
      if (until === this.length) return -1;
    }
  }

  /** Finds the match that ends first, among those that end at or before `until`. Returns its end, or -1. */
  #findUntil(needle: Needle, until: number): number {
    let matchEnd = -1;
    for (let i = 0; i < needle.parts.length; i++) {
      const part = needle.parts[i] as Buffer;
      // Later parts are longer, so their match must end earlier.
      const limit = matchEnd < 0 ? until : matchEnd - 1;
      const start =
        part.length === 1 ? this.#indexOfByte(part[0] as number, limit) : this.#indexOf(part, limit);
      if (start < 0) continue;
      matchEnd = start + part.length;
      this.matchStart = start;
    }
    return matchEnd;
  }

  /** Counts `n` bytes of the first chunk as taken, at most all of it. */
  #drop(n: number): void {
    this.length -= n;
    this.#offset += n;
    if (this.#offset === (this.#chunks[this.#head] as Buffer).length) this.#nextChunk();
    if (n < this.#searched) {
      this.#searched -= n;
      this.#atStart -= n;
    } else {
      this.#searchFromStart();
    }
  }

  /** Copies the rest of the first chunk, if the taken bytes are most of its memory. */
  #keepHead(): void {
    const head = this.#chunks[this.#head] as Buffer;
    if (head.length <= this.#offset) return;
    const rest = head.subarray(this.#offset);
    const kept = keepable(rest);
    if (kept === rest) return;
    this.#chunks[this.#head] = kept;
    if (this.#at === this.#head) this.#atStart = 0;
    this.#offset = 0;
  }

  #nextChunk(): void {
    this.#offset = 0;
    const chunks = this.#chunks;
    if (this.length === 0) {
      this.#chunks = NOTHING;
      this.#head = 0;
      this.#kept = 0;
      return;
    }
    chunks[this.#head++] = EMPTY;
    // Compact the array when most of it is used up: then each chunk moves at most once for each chunk that
    // was taken.
    if (this.#head < 32 || this.#head * 2 < chunks.length) return;
    chunks.splice(0, this.#head);
    this.#at -= this.#head;
    this.#kept = Math.max(0, this.#kept - this.#head);
    this.#head = 0;
  }

  /**
   * Returns the first chunk. Throws if its ArrayBuffer was transferred, by the caller who has a taken part of
   * it.
   */
  #first(): Buffer {
    const chunk = this.#chunks[this.#head] as Buffer;
    if (chunk.length <= this.#offset) throw givenAwayUnread();
    return chunk;
  }

  #gather(n: number): Buffer {
    const whole = ownBuffer(n);
    let filled = 0;
    while (filled < n) {
      const chunk = this.#first();
      const step = Math.min(n - filled, chunk.length - this.#offset);
      chunk.copy(whole, filled, this.#offset, this.#offset + step);
      filled += step;
      this.#drop(step);
    }
    return whole;
  }

  /** `0 -` and not `-`: V8 keeps a field that was ever -0 as a number of its own on the heap. */
  #searchFromStart(): void {
    this.#searchFrom(0, this.#head, 0 - this.#offset);
  }

  #searchFrom(position: number, at: number, atStart: number): void {
    this.#searched = position;
    this.#at = at;
    this.#atStart = atStart;
  }

  /** Records that no match begins before `position`: the next search starts there. */
  #nothingBefore(position: number): void {
    if (position <= this.#searched) return;
    let at = this.#at;
    let start = this.#atStart;
    for (const last = this.#chunks.length - 1; at < last; at++) {
      const end = start + (this.#chunks[at] as Buffer).length;
      if (position < end) break;
      start = end;
    }
    this.#searchFrom(position, at, start);
  }

  /** Returns the position of the first `byte` left of `until`, or -1. */
  #indexOfByte(byte: number, until: number): number {
    const chunks = this.#chunks;
    let start = this.#atStart;
    let from = this.#searched - start;
    for (let at = this.#at; at < chunks.length && start + from < until; at++) {
      const chunk = chunks[at] as Buffer;
      const found = upTo(chunk, until - start).indexOf(byte, from);
      if (found >= 0) return start + found;
      start += chunk.length;
      from = 0;
    }
    return -1;
  }

  /** Returns the position of the first `part` that ends at or before `until`, or -1. */
  #indexOf(part: Buffer, until: number): number {
    const chunks = this.#chunks;
    const lastStart = until - part.length;
    let start = this.#atStart;
    let from = this.#searched - start;
    for (let at = this.#at; at < chunks.length && start + from <= lastStart; at++) {
      const chunk = chunks[at] as Buffer;
      const found = upTo(chunk, until - start).indexOf(part, from);
      if (found >= 0) return start + found;
      // Matches that begin in this chunk and end in a later one.
      for (let i = Math.max(from, chunk.length - part.length + 1); i < chunk.length; i++) {
        if (start + i > lastStart) return -1;
        if (this.#matches(part, at, i)) return start + i;
      }
      start += chunk.length;
      from = 0;
    }
    return -1;
  }

  #matches(part: Buffer, startAt: number, startFrom: number): boolean {
    let at = startAt;
    let chunk = this.#chunks[at] as Buffer;
    let from = startFrom;
    for (let i = 0; i < part.length; i++) {
      if (from === chunk.length) {
        chunk = this.#chunks[++at] as Buffer;
        from = 0;
      }
      if (chunk[from++] !== part[i]) return false;
    }
    return true;
  }
}

function upTo(chunk: Buffer, length: number): Buffer {
  return length < chunk.length ? chunk.subarray(0, length) : chunk;
}
