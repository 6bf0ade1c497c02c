/**
 * Deadlines in order of time, then of scheduling.
 *
 * A 4-ary heap of numbers: the deadlines are in an array of doubles, and a second array has the index of each
 * deadline's entry. Sifting moves only numbers. The entries do not move, which avoids the garbage collector's
 * write barrier for every move of a reference.
 *
 *   place     0 1 2 | 3 | 4 5 6 7 | 8 9 10 11 | …      the root is at 3: four children share a cache line
 *   #whens    - - - | 5 | 8 6 9 7 | …                  (unused: Infinity)
 *   #slots    - - - | 2 | 0 4 1 3 | …                  #entries[2] is due at 5
 *
 * Deletion is lazy: `cancelled()` only counts, and the heap is rebuilt when more than half of its entries are
 * cancelled. So a cancel costs O(1), and a million timers that were created and cancelled leak nothing.
 */
export interface DeadlineEntry {
  /** @internal */ readonly _when: number;
  /** The order of scheduling, which decides between equal deadlines. @internal */
  readonly _seq: number;
  cancelled(): boolean;
}

const ROOT = 3;
const SMALL = 64;
const MIN_DEAD_BEFORE_SWEEP = 64;

export class DeadlineHeap<T extends DeadlineEntry> {
  #whens: Float64Array = newWhens(SMALL);
  #slots: Int32Array = new Int32Array(SMALL);
  #entries: (T | undefined)[] = [];
  /** Free indices of #entries. */
  #free: number[] = [];
  #length: number = 0;
  #dead: number = 0;

  /** The number of entries that are not cancelled. */
  get size(): number {
    return this.#length - this.#dead;
  }

  push(entry: T): void {
    const place = ROOT + this.#length++;
    // Sifting reads four places beyond the last one, so that each family of children is complete.
    if (place + 4 >= this.#whens.length) this.#resize(this.#whens.length * 2);
    const slot = this.#free.length > 0 ? (this.#free.pop() as number) : this.#entries.length;
    this.#entries[slot] = entry;
    this.#siftUp(place, entry._when, slot);
  }

  /** Returns the earliest deadline, or Infinity. */
  nextWhen(): number {
    this.#dropDeadTop();
    return this.#whens[ROOT] as number;
  }

  /** Removes and returns the earliest entry if it is due at `now`. */
  popDue(now: number): T | undefined {
    if (this.#dead > 0) this.#dropDeadTop();
    if (this.#length === 0 || (this.#whens[ROOT] as number) > now) return undefined;
    return this.#pop();
  }

  /** Counts a cancelled entry. Call it once for each entry that is cancelled while it is in the heap. */
  cancelled(): void {
    this.#dead++;
    if (this.#dead >= MIN_DEAD_BEFORE_SWEEP && this.#dead * 2 > this.#length) this.#sweep();
  }

  clear(): void {
    this.#rebuild([]);
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const entry of this.#entries) if (entry !== undefined && !entry.cancelled()) yield entry;
  }

  #dropDeadTop(): void {
    while (this.#dead > 0 && (this.#entries[this.#slots[ROOT] as number] as T).cancelled()) {
      // Count it before #pop(), because #pop() may sweep, which removes all cancelled entries.
      this.#dead--;
      this.#pop();
    }
  }

  #pop(): T {
    const slot = this.#slots[ROOT] as number;
    const top = this.#entries[slot] as T;
    this.#entries[slot] = undefined;
    this.#free.push(slot);
    const last = ROOT + --this.#length;
    const when = this.#whens[last] as number;
    this.#whens[last] = Number.POSITIVE_INFINITY;
    if (this.#length > 0) this.#fillHole(when, this.#slots[last] as number);
    if (this.#whens.length > SMALL && this.#length * 8 < this.#whens.length) this.#shrink();
    return top;
  }

  #sweep(): void {
    this.#rebuild(this.#entries.filter((entry): entry is T => entry !== undefined && !entry.cancelled()));
  }

  #shrink(): void {
    // #entries never gets shorter by itself. The arrays are copied anyway, so a sweep can assign new indices.
    if (this.#length === 0) this.clear();
    else if (this.#free.length > this.#length) this.#sweep();
    else this.#resize(this.#whens.length / 2);
  }

  #rebuild(entries: T[]): void {
    let size = SMALL;
    while (size < entries.length + ROOT + 5) size *= 2;
    this.#whens = newWhens(size);
    this.#slots = new Int32Array(size);
    this.#entries = entries;
    this.#free = [];
    this.#dead = 0;
    this.#length = 0;
    for (let slot = 0; slot < entries.length; slot++) {
      this.#siftUp(ROOT + this.#length++, (entries[slot] as T)._when, slot);
    }
  }

  #resize(size: number): void {
    const used = ROOT + this.#length;
    const whens = newWhens(size);
    whens.set(this.#whens.subarray(0, Math.min(used, this.#whens.length)));
    const slots = new Int32Array(size);
    slots.set(this.#slots.subarray(0, Math.min(used, this.#slots.length)));
    this.#whens = whens;
    this.#slots = slots;
  }

  #siftUp(start: number, when: number, slot: number): void {
    const whens = this.#whens;
    const slots = this.#slots;
    let place = start;
    while (place > ROOT) {
      const parent = ROOT + ((place - ROOT - 1) >> 2);
      const parentWhen = whens[parent] as number;
      if (parentWhen < when || (parentWhen === when && this.#before(slots[parent] as number, slot))) break;
      whens[place] = parentWhen;
      slots[place] = slots[parent] as number;
      place = parent;
    }
    whens[place] = when;
    slots[place] = slot;
  }

  /**
   * Fills the hole at the root: the smallest child of each family moves up, down to the bottom, and the last
   * entry sifts up from there.
   */
  #fillHole(when: number, slot: number): void {
    const whens = this.#whens;
    const slots = this.#slots;
    const end = ROOT + this.#length;
    let hole = ROOT;
    for (;;) {
      const child = ROOT + (hole - ROOT) * 4 + 1;
      if (child >= end) break;
      let least = child;
      let leastWhen = whens[child] as number;
      for (let sibling = child + 1; sibling < child + 4; sibling++) {
        const siblingWhen = whens[sibling] as number;
        if (siblingWhen > leastWhen) continue;
        if (
          siblingWhen === leastWhen &&
          (sibling >= end || this.#before(slots[least] as number, slots[sibling] as number))
        ) {
          continue;
        }
        least = sibling;
        leastWhen = siblingWhen;
      }
      whens[hole] = leastWhen;
      slots[hole] = slots[least] as number;
      hole = least;
    }
    this.#siftUp(hole, when, slot);
  }

  #before(slotA: number, slotB: number): boolean {
    return (this.#entries[slotA] as T)._seq < (this.#entries[slotB] as T)._seq;
  }
}

function newWhens(size: number): Float64Array {
  return new Float64Array(size).fill(Number.POSITIVE_INFINITY);
}
