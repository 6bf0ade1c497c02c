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
import type { Loop } from '../loop/types.ts';
import { Waiter } from '../tasks/waiter.ts';

/**
 * A waiter of a primitive. During its turn it still counts as woken. If it keeps waiting, it is asleep again
 * afterwards.
 */
export class QueuedWaiter<T> extends Waiter<T> {
  /** The queue that contains this waiter. {@link WaitQueue} manages the three fields. */
  line: WaitQueue<QueuedWaiter<T>> | null = null;
  previous: QueuedWaiter<T> | null = null;
  next: QueuedWaiter<T> | null = null;

  protected override _turn(): void {
    this._owner._turnOf(this);
    if (this._state === 'pending') this.line?.rest(this);
  }
}

/** A queue of waiters, first come, first served. */
export class WaitQueue<P extends QueuedWaiter<unknown>> {
  first: P | null = null;
  #last: P | null = null;
  /** No waiter before this one is asleep. null: no waiter is asleep. */
  #asleep: P | null = null;
  length: number = 0;
  /** The number of waiters that are woken and have not had their turn. */
  woken: number = 0;

  /** Appends a waiter. */
  push(waiter: P): void {
    const last = this.#last;
    waiter.line = this as WaitQueue<QueuedWaiter<unknown>>;
    waiter.previous = last;
    if (last === null) this.first = waiter;
    else last.next = waiter;
    this.#last = waiter;
    this.length++;
    if (waiter.woken) this.woken++;
    else this.#asleep ??= waiter;
  }

  remove(waiter: P): void {
    const previous = waiter.previous as P | null;
    const next = waiter.next as P | null;
    if (previous === null) this.first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    if (this.#asleep === waiter) this.#asleep = next;
    if (waiter.woken) this.woken--;
    this.length--;
    waiter.line = null;
    waiter.previous = null;
    waiter.next = null;
  }

  /** Wakes the first sleeping waiter. Returns false if there is none. */
  wakeNext(): boolean {
    let waiter = this.#asleep;
    while (waiter?.woken) waiter = waiter.next as P | null;
    if (waiter === null) {
      this.#asleep = null;
      return false;
    }
    this.#asleep = waiter.next as P | null;
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
