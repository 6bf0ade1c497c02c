/**
 * Deadlines in order of time, then of scheduling. This is a ladder queue (Tang, Goh and Thng, 2005), with a
 * heap as its lowest part.
 *
 * Up to a hundred entries are all in the heap. Further entries are in the buckets of a rung, which divides a
 * range of time into equal parts. The entries of a bucket are a list without order. When the heap is empty,
 * the next bucket goes into it. A large bucket is first divided by a rung of its own:
 *
 *   rung 0      taken │ taken │ 41 entries │ 30 │ 57 │ 39, and all that are later
 *                         │
 *   rung 1      taken │ 3 │ 5 │ 4 │ … │ 6
 *                 │
 *   heap        4 entries, which are due next
 *
 * So each entry moves two or three times and is compared with a few others, however many there are. In one
 * large heap it would move ten times, between places that are in no cache. The order is exact: whatever the
 * rounding, a later deadline never has a bucket with a smaller number.
 *
 * Deletion is lazy: `cancelled()` only counts, and a sweep follows when more than half of the entries are
 * cancelled. So a cancel costs O(1), and a million timers that were created and cancelled leak nothing.
 */
import type { HeapEntry } from './deadline-heap.ts';
import { DeadlineHeap } from './deadline-heap.ts';

export interface DeadlineEntry<T = unknown> extends HeapEntry {
  /** The next entry of the same bucket. Only the queue uses it. @internal */
  _next: T | null;
  cancelled(): boolean;
}

const MIN_DEAD_BEFORE_SWEEP = 64;
/** A heap with more entries is divided. */
const LARGE_HEAP = 128;
/** A bucket with more entries is divided before it goes into the heap. */
const LARGE_BUCKET = 32;
/** The number of entries in a bucket of a new rung, if the deadlines are equally distributed. */
const NEW_BUCKET = 4;
/** More rungs would help only if the distances between deadlines differ by many orders of magnitude. */
const MOST_RUNGS = 8;

/** Equal parts of a range of time. Deadlines behind the range belong to the last bucket. */
interface Rung<T> {
  readonly start: number;
  /** Buckets in a second. */
  readonly scale: number;
  /** The number of the first bucket that was not taken yet. */
  next: number;
  /** The first entry of each bucket. */
  readonly buckets: (T | null)[];
}

export class DeadlineQueue<T extends DeadlineEntry<T>> {
  readonly #heap: DeadlineHeap<T> = new DeadlineHeap();
  /** The first rung has the latest deadlines. Each further one divides a bucket of the rung before it. */
  #rungs: Rung<T>[] = [];
  #length: number = 0;
  #dead: number = 0;
  #largeHeap: number = LARGE_HEAP;

  /** The number of entries that are not cancelled. */
  get size(): number {
    return this.#length - this.#dead;
  }

  push(entry: T): void {
    this.#length++;
    this.#put(entry);
    if (this.#heap.length > this.#largeHeap) this.#divideHeap();
  }

  /** Returns the earliest deadline, or Infinity. */
  nextWhen(): number {
    this.#settle();
    return this.#heap.firstWhen;
  }

  /** Removes and returns the earliest entry if it is due at `now`. */
  popDue(now: number): T | undefined {
    this.#settle();
    const heap = this.#heap;
    if (heap.length === 0 || heap.firstWhen > now) return undefined;
    this.#length--;
    return heap.pop();
  }

  /** Counts a cancelled entry. Call it once for each entry that is cancelled while it is in the queue. */
  cancelled(): void {
    this.#dead++;
    if (this.#dead >= MIN_DEAD_BEFORE_SWEEP && this.#dead * 2 > this.#length) this.#sweep();
  }

  clear(): void {
    this.#heap.clear();
    this.#rungs = [];
    this.#length = 0;
    this.#dead = 0;
    this.#largeHeap = LARGE_HEAP;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const entry of this.#heap) if (!entry.cancelled()) yield entry;
    for (const { buckets } of this.#rungs) {
      for (const first of buckets) {
        for (let entry = first; entry !== null; entry = entry._next) if (!entry.cancelled()) yield entry;
      }
    }
  }

  /** Makes the earliest entry the first of the heap. */
  #settle(): void {
    const heap = this.#heap;
    for (;;) {
      if (heap.length === 0) {
        if (this.#rungs.length === 0) return;
        this.#divide(this.#takeBucket(), NEW_BUCKET);
      } else if (this.#dead > 0 && heap.first.cancelled()) {
        heap.pop();
        this.#drop();
      } else {
        return;
      }
    }
  }

  #put(entry: T): void {
    const when = entry._when;
    for (const rung of this.#rungs) {
      const place = (when - rung.start) * rung.scale;
      if (!(place >= rung.next)) continue;
      const { buckets } = rung;
      const bucket = place < buckets.length ? Math.floor(place) : buckets.length - 1;
      entry._next = buckets[bucket] as T | null;
      buckets[bucket] = entry;
      return;
    }
    this.#heap.push(entry);
  }

  #drop(): void {
    this.#length--;
    this.#dead--;
  }

  /** Takes the next bucket that has entries, and returns the first one. Returns null if there is none. */
  #takeBucket(): T | null {
    const rung = this.#rungs[this.#rungs.length - 1] as Rung<T>;
    const { buckets } = rung;
    let { next } = rung;
    while (next < buckets.length - 1 && buckets[next] === null) next++;
    const first = buckets[next] as T | null;
    buckets[next] = null;
    rung.next = next + 1;
    if (rung.next === buckets.length) this.#rungs.pop();
    return first;
  }

  /**
   * Divides a list of entries, which are all due before every bucket, among the heap and a new rung.
   *
   * @param bucketSize the number of entries in a bucket of the rung
   */
  #divide(first: T | null, bucketSize: number): void {
    this.#addRung(first, bucketSize);
    for (let entry = first; entry !== null; ) {
      const next: T | null = entry._next;
      entry._next = null;
      if (this.#dead > 0 && entry.cancelled()) this.#drop();
      else this.#put(entry);
      entry = next;
    }
    // Equal deadlines cannot be divided. Don't try it again at each push.
    this.#largeHeap = Math.max(LARGE_HEAP, this.#heap.length * 2);
  }

  #addRung(first: T | null, bucketSize: number): void {
    let count = 0;
    let least = Number.POSITIVE_INFINITY;
    let greatest = Number.NEGATIVE_INFINITY;
    for (let entry = first; entry !== null; entry = entry._next) {
      const when = entry._when;
      count++;
      if (when < least && when !== Number.NEGATIVE_INFINITY) least = when;
      if (when > greatest && when !== Number.POSITIVE_INFINITY) greatest = when;
    }
    if (count <= LARGE_BUCKET || this.#rungs.length === MOST_RUNGS) return;
    const buckets = new Array<T | null>(Math.ceil(count / bucketSize)).fill(null);
    const scale = buckets.length / (greatest - least);
    if (scale > 0 && scale < Number.POSITIVE_INFINITY) {
      this.#rungs.push({ start: least, scale, next: 0, buckets });
    }
  }

  /**
   * Moves the heap into one bucket, which is divided when the next deadline is needed. Further entries often
   * come before that, and only then is their number known.
   */
  #divideHeap(): void {
    const entries = this.#heap.clear();
    this.#divide(listOf(entries), entries.length);
  }

  #sweep(): void {
    const entries = [...this];
    this.clear();
    this.#length = entries.length;
    this.#divide(listOf(entries), entries.length);
  }
}

function listOf<T extends DeadlineEntry<T>>(entries: readonly T[]): T | null {
  let first: T | null = null;
  for (const entry of entries) {
    entry._next = first;
    first = entry;
  }
  return first;
}
