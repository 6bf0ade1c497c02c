/**
 * Deadlines in order of time, then of scheduling.
 *
 * A 4-ary heap: half as deep as a binary one, and the four children of a node lie side by side. The deadlines are kept
 * beside the entries in an array of doubles, so that sifting compares numbers without touching the entries.
 *
 * Deletion is lazy: `cancelled()` only counts, and the heap is rebuilt when more than half of it is dead. So a cancel
 * costs O(1), and a million timers made and cancelled leave nothing behind.
 */
export interface DeadlineEntry {
  /** @internal */ readonly _when: number;
  /** Order of scheduling, the tie-breaker. @internal */
  readonly _seq: number;
  cancelled(): boolean;
}

const MIN_DEAD_BEFORE_SWEEP = 64;
const SMALL = 64;

export class DeadlineHeap<T extends DeadlineEntry> {
  #whens: Float64Array = new Float64Array(SMALL);
  #entries: T[] = [];
  #dead: number = 0;

  /** Entries that are not cancelled. */
  get size(): number {
    return this.#entries.length - this.#dead;
  }

  push(entry: T): void {
    const at = this.#entries.length;
    if (at === this.#whens.length) this.#resize(at * 2);
    this.#entries.push(entry);
    this.#siftUp(at, entry);
  }

  /** The earliest deadline, or Infinity. */
  nextWhen(): number {
    this.#dropDeadTop();
    return this.#entries.length === 0 ? Number.POSITIVE_INFINITY : (this.#whens[0] as number);
  }

  /** Removes and returns the earliest entry if it is due at `now`. */
  popDue(now: number): T | undefined {
    this.#dropDeadTop();
    if (this.#entries.length === 0 || (this.#whens[0] as number) > now) return undefined;
    return this.#pop();
  }

  /** To be called once for each entry that is cancelled while it is in the heap. */
  cancelled(): void {
    this.#dead++;
    if (this.#dead >= MIN_DEAD_BEFORE_SWEEP && this.#dead * 2 > this.#entries.length) this.#sweep();
  }

  clear(): void {
    this.#entries = [];
    this.#whens = new Float64Array(SMALL);
    this.#dead = 0;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const entry of this.#entries) if (!entry.cancelled()) yield entry;
  }

  #dropDeadTop(): void {
    while (this.#dead > 0 && (this.#entries[0] as T).cancelled()) {
      this.#pop();
      this.#dead--;
    }
  }

  #pop(): T {
    const entries = this.#entries;
    const top = entries[0] as T;
    const last = entries.pop() as T;
    if (entries.length > 0) this.#siftDown(0, last);
    if (this.#whens.length > SMALL && entries.length * 4 < this.#whens.length)
      this.#resize(this.#whens.length / 2);
    return top;
  }

  #sweep(): void {
    const alive = this.#entries.filter((entry) => !entry.cancelled());
    this.#entries = alive;
    this.#dead = 0;
    let size = SMALL;
    while (size < alive.length) size *= 2;
    this.#whens = new Float64Array(size);
    for (let i = 0; i < alive.length; i++) this.#whens[i] = (alive[i] as T)._when;
    for (let i = (alive.length - 2) >> 2; i >= 0; i--) this.#siftDown(i, alive[i] as T);
  }

  #resize(size: number): void {
    const whens = new Float64Array(size);
    whens.set(this.#whens.subarray(0, Math.min(size, this.#entries.length)));
    this.#whens = whens;
  }

  #siftUp(start: number, entry: T): void {
    const whens = this.#whens;
    const entries = this.#entries;
    const when = entry._when;
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      const parentWhen = whens[parent] as number;
      // A new entry has the highest sequence number, so an equal deadline keeps its place.
      if (parentWhen <= when) break;
      whens[at] = parentWhen;
      entries[at] = entries[parent] as T;
      at = parent;
    }
    whens[at] = when;
    entries[at] = entry;
  }

  #siftDown(start: number, entry: T): void {
    const whens = this.#whens;
    const entries = this.#entries;
    const length = entries.length;
    const when = entry._when;
    let at = start;
    for (;;) {
      const first = at * 4 + 1;
      if (first >= length) break;
      let least = first;
      let leastWhen = whens[first] as number;
      const end = Math.min(first + 4, length);
      for (let child = first + 1; child < end; child++) {
        const childWhen = whens[child] as number;
        if (
          childWhen < leastWhen ||
          (childWhen === leastWhen && before(entries[child] as T, entries[least] as T))
        ) {
          least = child;
          leastWhen = childWhen;
        }
      }
      if (leastWhen > when || (leastWhen === when && before(entry, entries[least] as T))) break;
      whens[at] = leastWhen;
      entries[at] = entries[least] as T;
      at = least;
    }
    whens[at] = when;
    entries[at] = entry;
  }
}

function before(a: DeadlineEntry, b: DeadlineEntry): boolean {
  return a._seq < b._seq;
}
