/**
 * A 4-ary heap of deadlines, in order of time, then of scheduling.
 *
 * The deadlines are in an array of doubles, and a second array has the index of each deadline's entry.
 * Sifting moves only numbers. The entries do not move, which avoids the garbage collector's write barrier for
 * every move of a reference.
 *
 *   place     0 1 2 | 3 | 4 5 6 7 | 8 9 10 11 | …      the root is at 3: four children share a cache line
 *   #whens    - - - | 5 | 8 6 9 7 | …                  (unused: Infinity)
 *   #slots    - - - | 2 | 0 4 1 3 | …                  #entries[2] is due at 5
 */
export interface HeapEntry {
  /** @internal */ readonly _when: number;
  /** The order of scheduling, which decides between equal deadlines. @internal */
  readonly _seq: number;
}

const ROOT = 3;
const SMALL = 64;

export class DeadlineHeap<T extends HeapEntry> {
  #whens: Float64Array = newWhens(SMALL);
  #slots: Int32Array = new Int32Array(SMALL);
  #entries: (T | undefined)[] = [];
  /** Free indices of #entries. */
  #free: number[] = [];
  #length: number = 0;

  get length(): number {
    return this.#length;
  }

  /** The earliest deadline, or Infinity. */
  get firstWhen(): number {
    return this.#whens[ROOT] as number;
  }

  /** The earliest entry. The heap must not be empty. */
  get first(): T {
    return this.#entries[this.#slots[ROOT] as number] as T;
  }

  push(entry: T): void {
    const place = ROOT + this.#length++;
    // Sifting reads four places beyond the last one, so that each family of children is complete.
    if (place + 4 >= this.#whens.length) this.#grow();
    const slot = this.#free.length > 0 ? (this.#free.pop() as number) : this.#entries.length;
    this.#entries[slot] = entry;
    this.#siftUp(place, entry._when, slot);
  }

  /** Removes and returns the earliest entry. The heap must not be empty. */
  pop(): T {
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

  /** Removes all entries, and returns them in no particular order. */
  clear(): T[] {
    const entries = [...this];
    this.#whens = newWhens(SMALL);
    this.#slots = new Int32Array(SMALL);
    this.#entries = [];
    this.#free = [];
    this.#length = 0;
    return entries;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const entry of this.#entries) if (entry !== undefined) yield entry;
  }

  #shrink(): void {
    // #entries never gets shorter by itself.
    for (const entry of this.clear()) this.push(entry);
  }

  #grow(): void {
    const size = this.#whens.length * 2;
    const whens = newWhens(size);
    whens.set(this.#whens);
    const slots = new Int32Array(size);
    slots.set(this.#slots);
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
