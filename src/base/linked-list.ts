/**
 * A set of linked members, in order of addition.
 *
 * It replaces a Set for members that come and go thousands of times a second. V8 gives such a Set a new table
 * again and again, and each old table refers to the next one and to all its contents. A table in the old
 * generation keeps all later tables until the whole heap is collected: a third of the data that each
 * collection of the young generation had to copy. A removed member of this list refers to nothing.
 */
export interface Linked {
  /** null if the member is in no list. @internal */
  _previous: Linked | null;
  /** @internal */
  _next: Linked | null;
}

export class LinkedList<T extends Linked> {
  /** The sentinel before the first member and behind the last. */
  readonly #end: Linked = { _previous: null, _next: null };
  #size: number = 0;

  constructor() {
    this.#end._previous = this.#end;
    this.#end._next = this.#end;
  }

  get size(): number {
    return this.#size;
  }

  get first(): T | null {
    return this.#memberAt(this.#end._next);
  }

  /** Returns the member behind one of the list; null if that is the last. */
  after(member: T): T | null {
    return this.#memberAt(member._next);
  }

  /** Adds a member. Does nothing if it is in the list. A member can be in one list at a time. */
  add(member: T): void {
    if (member._next === null) this.#insert(member, this.#end);
  }

  /** Adds a member before the first one for which `isBehind` returns true. The member must be in no list. */
  addBefore(member: T, isBehind: (other: T) => boolean): void {
    let next = this.first;
    while (next !== null && !isBehind(next)) next = this.after(next);
    this.#insert(member, next ?? this.#end);
  }

  #insert(member: T, next: Linked): void {
    const previous = next._previous as Linked;
    member._previous = previous;
    member._next = next;
    previous._next = member;
    next._previous = member;
    this.#size++;
  }

  /** Returns true if the member is in a list. Only for members that can be in no other list. */
  has(member: T): boolean {
    return member._next !== null;
  }

  /** Removes a member. Returns true if it was in the list. */
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

  #memberAt(node: Linked | null): T | null {
    return node === this.#end ? null : (node as T);
  }

  clear(): void {
    for (const member of this) this.delete(member);
  }

  /**
   * Iterates over the members at the time of the call. A member that is removed meanwhile is still returned.
   */
  [Symbol.iterator](): IterableIterator<T> {
    const members: T[] = [];
    for (let node = this.#end._next as Linked; node !== this.#end; node = node._next as Linked) {
      members.push(node as T);
    }
    return members.values();
  }
}
