/**
 * What has come and was not read yet. No I/O, no futures.
 *
 *        head                                at
 *         v                                   v
 *   [ x,  ··####  ######################  ########  ##### ]     chunks, as they came
 *           ^offset                         ^searched
 *
 * Bytes left of `offset` are taken. A piece that lies in one chunk is given as a view of it; only a piece
 * across chunks is copied, once. So the work is linear in the bytes however they were cut.
 *
 * No occurrence of the last needle begins left of `searched` (counted from the first byte that was not
 * taken), so asking again after each chunk costs no more than asking once at the end.
 *
 * A needle of several parts is looked for in windows, each twice as long as the one before: else a part that
 * is absent would be looked for to the end of the buffer each time that another one is found.
 */

import { givenAwayUnread } from '../base/given-away.ts';
import { keepable, ownBuffer, ownJoin } from '../base/own-memory.ts';

/**
 * Bytes. Small neighbours are merged up to this: a peer that sends single bytes must not cost an object for
 * each.
 */
const MERGE_UP_TO_BYTES = 1024;

/** What {@link ReadBuffer.find} looks for: one of several byte sequences, none empty. */
export class Needle {
  /** The shortest first: of two that end at the same byte it is the match. */
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

/** Bytes: the first window, unless the last match says better. */
const SHORTEST_WINDOW_BYTES = 64;

const EMPTY: Buffer = Buffer.alloc(0);

/** In place of an empty array: that would get room for 17 with the first chunk, and mostly there is one. */
const NOTHING: Buffer[] = [];

export class ReadBuffer {
  /** Bytes that can be taken. */
  length: number = 0;
  /** Where the last match of {@link find} begins. */
  matchStart: number = -1;

  #chunks: Buffer[] = NOTHING;
  #head: number = 0;
  #offset: number = 0;
  /** `keep()` has looked at the chunks before this one. */
  #kept: number = 0;

  #needle: Needle | null = null;
  #window: number = SHORTEST_WINDOW_BYTES;
  #searched: number = 0;
  /**
   * The chunk that holds position `searched`, or the last one, and the position of its first byte (taken ones
   * included).
   */
  #at: number = 0;
  #atStart: number = 0;

  /** Appends a chunk, which from now on belongs to the buffer. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.length += chunk.length;
    const chunks = this.#chunks;
    if (chunks === NOTHING) {
      this.#chunks = [chunk];
      return;
    }
    const last = chunks[chunks.length - 1] as Buffer;
    // Memory that was given away has no bytes: those of `chunk` must not take the place of the lost ones.
    if (last.length > 0 && last.length + chunk.length <= MERGE_UP_TO_BYTES)
      chunks[chunks.length - 1] = ownJoin(last, chunk);
    else chunks.push(chunk);
  }

  /** Copies small parts of larger memory: the data stays for an unknown time. */
  keep(): void {
    const chunks = this.#chunks;
    if (this.#offset > 0) this.#keepHead();
    for (let i = Math.max(this.#kept, this.#head); i < chunks.length; i++) {
      const chunk = chunks[i] as Buffer;
      // An empty one was transferred away: the next read reports that.
      if (chunk.length > 0) chunks[i] = keepable(chunk);
    }
    this.#kept = chunks.length;
  }

  /** The length of the piece that can be taken without a copy; 0 when there is nothing. */
  firstLength(): number {
    return this.length === 0 ? 0 : this.#first().length - this.#offset;
  }

  /** Removes and returns the first `n` bytes; there must be as many. */
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

  /** Removes the first `n` bytes; there must be as many. */
  discard(n: number): void {
    let left = n;
    while (left > 0) {
      const step = Math.min(left, this.firstLength());
      this.#drop(step);
      left -= step;
    }
  }

  /**
   * Looks for the match that ends first and answers where it ends, or -1. {@link matchStart} is then where it
   * begins.
   */
  find(needle: Needle): number {
    if (this.length > 0) this.#first();
    if (needle !== this.#needle) {
      if (this.#needle === null || !needle.equals(this.#needle))
        this.#searchFrom(0, this.#head, -this.#offset);
      this.#needle = needle;
    }
    const from = this.#searched;
    const several = needle.parts.length > 1;
    for (let window = Math.max(this.#window, 2 * needle.longest); ; window *= 2) {
      const until = several ? Math.min(this.#searched + window, this.length) : this.length;
      const matchEnd = this.#findUntil(needle, until);
      if (matchEnd >= 0) {
        // The next match is often as far away. No more than twice that: all windows together stay linear in
        // the bytes.
        if (several) this.#window = Math.max(2 * (matchEnd - from), SHORTEST_WINDOW_BYTES);
        return matchEnd;
      }
      this.#nothingBefore(until - needle.longest + 1);
      if (until === this.length) return -1;
    }
  }

  /** Finds the match that ends first, if it ends at `until` at the latest. Answers its end, or -1. */
  #findUntil(needle: Needle, until: number): number {
    let matchEnd = -1;
    for (let i = 0; i < needle.parts.length; i++) {
      const part = needle.parts[i] as Buffer;
      // A later part is longer: it has to end before.
      const limit = matchEnd < 0 ? until : matchEnd - 1;
      const start =
        part.length === 1 ? this.#indexOfByte(part[0] as number, limit) : this.#indexOf(part, limit);
      if (start < 0) continue;
      matchEnd = start + part.length;
      this.matchStart = start;
    }
    return matchEnd;
  }

  /** `n` bytes of the first chunk are gone, at most all of them. */
  #drop(n: number): void {
    this.length -= n;
    this.#offset += n;
    if (this.#offset === (this.#chunks[this.#head] as Buffer).length) this.#nextChunk();
    if (n < this.#searched) {
      this.#searched -= n;
      this.#atStart -= n;
    } else {
      this.#searchFrom(0, this.#head, -this.#offset);
    }
  }

  /** The taken bytes of the first chunk may be most of its memory. */
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
    // Moved together when most of the array is used up: each chunk moves at most once for each that was
    // taken.
    if (this.#head < 32 || this.#head * 2 < chunks.length) return;
    chunks.splice(0, this.#head);
    this.#at -= this.#head;
    this.#kept = Math.max(0, this.#kept - this.#head);
    this.#head = 0;
  }

  /**
   * Returns the chunk that is taken from. A part of it may have been taken before, and its taker may have
   * transferred the memory of both.
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

  #searchFrom(position: number, at: number, atStart: number): void {
    this.#searched = position;
    this.#at = at;
    this.#atStart = atStart;
  }

  /** No match begins before `position`: the next search starts there. */
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

  /** Where the first `byte` is of those left of `until`; or -1. */
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

  /** Where the first `part` begins of those that end at `until` at the latest; or -1. */
  #indexOf(part: Buffer, until: number): number {
    const chunks = this.#chunks;
    const lastStart = until - part.length;
    let start = this.#atStart;
    let from = this.#searched - start;
    for (let at = this.#at; at < chunks.length && start + from <= lastStart; at++) {
      const chunk = chunks[at] as Buffer;
      const found = upTo(chunk, until - start).indexOf(part, from);
      if (found >= 0) return start + found;
      // What begins in this chunk and ends in a later one.
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
