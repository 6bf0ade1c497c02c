/**
 * Items in order. Items of equal order stay in order of arrival. It is a binary heap of (item, number of
 * arrival).
 *
 * The order may be the user's own function, which may throw. So each operation first finds the path through
 * the heap, with comparisons only, and then moves items along it. An operation that throws has changed
 * nothing.
 */
import { invalidArgType, outOfRange } from '../base/validate.ts';

/** Returns a negative number if `a` comes first. */
export type Compare<T> = (a: T, b: T) => number;

export class OrderedItems<T> {
  compare: Compare<T> = naturalOrder;
  readonly #items: T[] = [];
  readonly #arrivals: number[] = [];
  #arrived: number = 0;

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    const items = this.#items;
    const arrivals = this.#arrivals;
    const end = items.length;
    let at = end;
    // Stop at an item of equal order, because the new item arrived last.
    while (at > 0 && this.#order(item, items[(at - 1) >> 1] as T) < 0) at = (at - 1) >> 1;
    for (let to = end; to > at; ) {
      const from = (to - 1) >> 1;
      items[to] = items[from] as T;
      arrivals[to] = arrivals[from] as number;
      to = from;
    }
    items[at] = item;
    arrivals[at] = this.#arrived++;
  }

  /** Removes the first item. There must be one. */
  shift(): T {
    const items = this.#items;
    const arrivals = this.#arrivals;
    const first = items[0] as T;
    const end = items.length - 1;
    const way: number[] = [];
    // Find the place of the last item, which fills the gap at the top.
    for (let at = 0; ; ) {
      const left = at * 2 + 1;
      if (left >= end) break;
      const child = left + 1 < end && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(child, end)) break;
      way.push(child);
      at = child;
    }
    let gap = 0;
    for (const from of way) {
      items[gap] = items[from] as T;
      arrivals[gap] = arrivals[from] as number;
      gap = from;
    }
    items[gap] = items[end] as T;
    arrivals[gap] = arrivals[end] as number;
    items.pop();
    arrivals.pop();
    return first;
  }

  clear(): void {
    this.#items.length = 0;
    this.#arrivals.length = 0;
  }

  #before(a: number, b: number): boolean {
    const order = this.#order(this.#items[a] as T, this.#items[b] as T);
    return order < 0 || (order === 0 && (this.#arrivals[a] as number) < (this.#arrivals[b] as number));
  }

  #order(a: T, b: T): number {
    const order: unknown = this.compare(a, b);
    if (typeof order !== 'number' || Number.isNaN(order)) {
      throw invalidArgType('compare', order, 'a function that returns a number');
    }
    return order;
  }
}

/**
 * The order of Python's tuples, as far as JavaScript has it. Arrays are compared by their first elements that
 * differ, and a shorter array comes first; other values are compared with `<`. Values without an order
 * (functions, objects without a primitive `valueOf()`) are equal, so that `[priority, job]` works with any
 * job.
 *
 * @throws TypeError for values that cannot be compared, for example a number and a string
 */
export function naturalOrder(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b)) {
    const shared = Math.min(a.length, b.length);
    for (let i = 0; i < shared; i++) {
      const order = naturalOrder(a[i], b[i]);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  const x = primitive(a);
  const y = primitive(b);
  if (x === undefined && y === undefined) return 0;
  if (typeof x !== typeof y && !(isNumeric(x) && isNumeric(y))) {
    throw invalidArgType(
      'item',
      b,
      `comparable with ${typeof a} items, or the queue made with a compare function`,
    );
  }
  if ((x as number) < (y as number)) return -1;
  return (y as number) < (x as number) ? 1 : 0;
}

/** Rejects an item at `put()` if {@link naturalOrder} cannot order it. */
export function checkOrdered(item: unknown): void {
  if (Array.isArray(item)) {
    for (const element of item) checkNumber(element);
    return;
  }
  if (primitive(item) === undefined) {
    throw invalidArgType(
      'item',
      item,
      'a value that has an order, or the queue made with a compare function',
    );
  }
  checkNumber(item);
}

function checkNumber(value: unknown): void {
  const x = primitive(value);
  if (Number.isNaN(x)) throw outOfRange('item', value, 'a value that has an order, not NaN');
}

/**
 * Returns the value that `<` would compare, or undefined if `<` would compare meaningless strings such as
 * `[object Object]`.
 */
function primitive(value: unknown): unknown {
  if (value === null || typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object') return value;
  const inner: unknown = typeof value.valueOf === 'function' ? value.valueOf() : value;
  return typeof inner === 'object' || typeof inner === 'function' ? undefined : inner;
}

function isNumeric(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'bigint';
}
