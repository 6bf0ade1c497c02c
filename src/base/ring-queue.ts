/**
 * A FIFO over a power-of-two array that wraps around.
 *
 *        head        tail
 *          v           v
 *   [ . .  a  b  c  d  .  . ]      push writes at tail, shift reads at head, both move right and wrap.
 *
 * One slot stays free, so that `head === tail` means empty. The array doubles when it is full. When a large
 * array becomes empty, it is replaced by a small one, so that a burst does not keep memory.
 */
const SMALL = 64;
const KEEP = 1 << 16;

export class RingQueue<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(SMALL);
  #mask: number = SMALL - 1;
  #head: number = 0;
  #tail: number = 0;

  get length(): number {
    return (this.#tail - this.#head) & this.#mask;
  }

  push(item: T): void {
    this.#items[this.#tail] = item;
    this.#tail = (this.#tail + 1) & this.#mask;
    if (this.#tail === this.#head) this.#grow();
  }

  /** Puts an item before all others. */
  unshift(item: T): void {
    this.#head = (this.#head - 1) & this.#mask;
    this.#items[this.#head] = item;
    if (this.#tail === this.#head) this.#grow();
  }

  shift(): T | undefined {
    const head = this.#head;
    if (head === this.#tail) return undefined;
    const item = this.#items[head];
    this.#items[head] = undefined;
    this.#head = (head + 1) & this.#mask;
    if (this.#head === this.#tail && this.#mask >= KEEP) this.clear();
    return item;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /**
   * Removes the first occurrence, and returns false if there is none. It takes linear time: use it for queues
   * of waiters, not for the ready queue.
   */
  remove(item: T): boolean {
    const mask = this.#mask;
    for (let i = this.#head; i !== this.#tail; i = (i + 1) & mask) {
      if (this.#items[i] !== item) continue;
      for (let j = i; ; ) {
        const next = (j + 1) & mask;
        if (next === this.#tail) {
          this.#items[j] = undefined;
          this.#tail = j;
          return true;
        }
        this.#items[j] = this.#items[next];
        j = next;
      }
    }
    return false;
  }

  clear(): void {
    this.#items = new Array<T | undefined>(SMALL);
    this.#mask = SMALL - 1;
    this.#head = 0;
    this.#tail = 0;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = this.#head; i !== this.#tail; i = (i + 1) & this.#mask) yield this.#items[i] as T;
  }

  #grow(): void {
    const old = this.#items;
    const size = old.length;
    const items = new Array<T | undefined>(size * 2);
    for (let i = 0; i < size; i++) items[i] = old[(this.#head + i) & this.#mask];
    this.#items = items;
    this.#head = 0;
    this.#tail = size;
    this.#mask = size * 2 - 1;
  }
}
