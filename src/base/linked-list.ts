/**
 * A set, in order of addition, of things that know their neighbours.
 *
 * For what comes and goes by the thousand in a second it takes the place of a Set: V8 gives that a new table
 * again and again, and each old table holds the next one and all that was in it. One that has grown old keeps
 * whatever came later until the whole heap is collected: a third of what every collection of young objects
 * had to copy. Here, what was taken off knows nobody.
 */
export interface Linked {
  /** Null: it is in no list. @internal */
  _previous: Linked | null;
  /** @internal */
  _next: Linked | null;
}

export class LinkedList<T extends Linked> {
  /** Before the first and behind the last. */
  readonly #end: Linked = { _previous: null, _next: null };
  #size: number = 0;

  constructor() {
    this.#end._previous = this.#end;
    this.#end._next = this.#end;
  }

  get size(): number {
    return this.#size;
  }

  /** Does nothing if it is in there. It may be in one list at a time. */
  add(member: T): void {
    if (member._next !== null) return;
    const end = this.#end;
    const last = end._previous as Linked;
    member._previous = last;
    member._next = end;
    last._next = member;
    end._previous = member;
    this.#size++;
  }

  /** Of one that can be in no other list. */
  has(member: T): boolean {
    return member._next !== null;
  }

  /** Whether it was in there. */
  delete(member: T): boolean {
    const { _previous: previous, _next: next } = member;
    if (previous === null || next === null) return false;
    previous._next = next;
    next._previous = previous;
    member._previous = null;
    member._next = null;
    this.#size--;
    return true;
  }

  clear(): void {
    for (const member of this) this.delete(member);
  }

  /** What is taken off meanwhile may be given, the rest is. */
  [Symbol.iterator](): IterableIterator<T> {
    const members: T[] = [];
    for (let one = this.#end._next as Linked; one !== this.#end; one = one._next as Linked) {
      members.push(one as T);
    }
    return members.values();
  }
}
