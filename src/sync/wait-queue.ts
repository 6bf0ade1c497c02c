/**
 * The queue of the waiters of a primitive, and its waiters.
 *
 * A waiter (tasks/waiter.ts) that is cancelled leaves the queue, and its owner is told, so that it can wake
 * the next waiter. A woken waiter keeps its position until its turn:
 *
 *   first                                    last
 *     v                                       v
 *   [ woken ] <-> [ woken ] <-> [ asleep ] <-> [ asleep ]      wakeNext() takes the first that is asleep
 *
 * The queue is linked through the waiters themselves. A cancelled waiter leaves from the middle in constant
 * time and is not kept alive: ten thousand cancels are ten thousand steps.
 */

import { InvalidStateError } from '../base/errors.ts';
import type { Linked } from '../base/linked-list.ts';
import { LinkedList } from '../base/linked-list.ts';
import { brief } from '../base/one-line.ts';
import type { Loop } from '../loop/types.ts';
import { Waiter } from '../tasks/waiter.ts';

/** Names of waiting tasks in a one-line view. */
const MOST_NAMES = 3;

/**
 * A waiter of a primitive. During its turn it still counts as woken. If it keeps waiting, it is asleep again
 * afterwards.
 */
export class QueuedWaiter<T> extends Waiter<T> implements Linked {
  /** The queue that contains this waiter. {@link WaitQueue} manages the three fields. */
  line: WaitQueue<QueuedWaiter<T>> | null = null;
  _previous: Linked | null = null;
  _next: Linked | null = null;

  protected override _turn(): void {
    this._owner._turnOf(this);
    if (this._state === 'pending') this.line?.rest(this);
  }
}

/** A queue of waiters, first come, first served. */
export class WaitQueue<P extends QueuedWaiter<unknown>> {
  readonly #waiters: LinkedList<P> = new LinkedList();
  /** No waiter before this one is asleep. null: no waiter is asleep. */
  #asleep: P | null = null;
  /** The number of waiters that are woken and have not had their turn. */
  woken: number = 0;

  get first(): P | null {
    return this.#waiters.first;
  }

  get length(): number {
    return this.#waiters.size;
  }

  /** Returns the waiters for a one-line view: `, 2 wait: 'a', 'b'`; nothing if there are none. */
  facts(verb: string = 'wait'): string {
    if (this.length === 0) return '';
    const names: string[] = [];
    for (let waiter = this.first; waiter !== null; waiter = this.after(waiter)) {
      if (names.length === MOST_NAMES) {
        names.push('…');
        break;
      }
      const name = waiter._root?._task?.name;
      if (name !== undefined) names.push(brief(name));
    }
    const list = names.length === 0 ? '' : `: ${names.join(', ')}`;
    return `, ${this.length} ${this.length === 1 ? `${verb}s` : verb}${list}`;
  }

  /** Returns the waiter behind this one; null if it is the last. */
  after(waiter: P): P | null {
    return this.#waiters.after(waiter);
  }

  /** Appends a waiter. */
  push(waiter: P): void {
    waiter.line = this as unknown as WaitQueue<QueuedWaiter<unknown>>;
    this.#waiters.add(waiter);
    if (waiter.woken) this.woken++;
    else this.#asleep ??= waiter;
  }

  remove(waiter: P): void {
    if (this.#asleep === waiter) this.#asleep = this.#waiters.after(waiter);
    if (waiter.woken) this.woken--;
    this.#waiters.delete(waiter);
    waiter.line = null;
  }

  /** Wakes the first sleeping waiter. Returns false if there is none. */
  wakeNext(): boolean {
    let waiter = this.#asleep;
    while (waiter?.woken) waiter = this.#waiters.after(waiter);
    if (waiter === null) {
      this.#asleep = null;
      return false;
    }
    this.#asleep = this.#waiters.after(waiter);
    this.woken++;
    waiter.wake();
    return true;
  }

  wakeAll(): void {
    while (this.wakeNext());
  }

  /** The waiter had its turn and keeps waiting. It is asleep again, in its old position. */
  rest(waiter: P): void {
    if (!waiter.woken) return;
    waiter.woken = false;
    this.woken--;
    this.#asleep = this.first;
  }

  /**
   * Settles all waiters with `value`. For primitives that give every waiter the same value, and that lose
   * nothing when a waiter is cancelled.
   */
  settleAll(value: unknown): void {
    for (let waiter = this.first; waiter !== null; waiter = this.first) {
      this.remove(waiter);
      waiter._settle('result', value);
    }
  }

  /**
   * Enforces asyncio's rule that all waiters of a primitive belong to one loop. Waiters of a closed loop are
   * never woken again, so they are dropped.
   */
  checkLoop(primitive: string, loop: Loop): void {
    const other = this.first?._loop;
    if (other === undefined || other === loop) return;
    if (!other.isClosed()) {
      throw new InvalidStateError(
        `this ${primitive} has waiters of another event loop: it serves one loop at a time`,
      );
    }
    for (let waiter = this.first; waiter !== null; waiter = this.first) this.remove(waiter);
  }
}
