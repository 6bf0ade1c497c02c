/**
 * The line in which those who wait for a primitive stand, and what a waiter in it is.
 *
 * A waiter (tasks/waiter.ts) that is cancelled leaves it, and its owner is told, to wake the next one.
 * Until that turn a woken waiter keeps its position:
 *
 *   first                                    last
 *     v                                       v
 *   [ woken ] <-> [ woken ] <-> [ asleep ] <-> [ asleep ]      wakeNext() takes the first that is asleep
 *
 * The line is linked through the waiters themselves, so whoever gives up leaves from the middle at no cost
 * and is not kept alive: ten thousand cancels are ten thousand steps.
 */

import { InvalidStateError } from '../base/errors.ts';
import type { Loop } from '../loop/types.ts';
import { Waiter } from '../tasks/waiter.ts';

/**
 * One waiter of a primitive. In its turn it still counts as woken; if it waits on, it is asleep again
 * afterwards.
 */
export class QueuedWaiter<T> extends Waiter<T> {
  /** Where it stands; these three belong to {@link WaitQueue}. */
  line: WaitQueue<QueuedWaiter<T>> | null = null;
  previous: QueuedWaiter<T> | null = null;
  next: QueuedWaiter<T> | null = null;

  protected override _turn(): void {
    this._owner._turnOf(this);
    if (this._state === 'pending') this.line?.rest(this);
  }
}

/** A line of waiters, first come first served. */
export class WaitQueue<P extends QueuedWaiter<unknown>> {
  first: P | null = null;
  #last: P | null = null;
  /** Nobody before it is asleep; null when nobody is. */
  #asleep: P | null = null;
  length: number = 0;
  /** How many of them are woken and have not had their turn. */
  woken: number = 0;

  /** Puts a waiter at the end. */
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

  /** Wakes the first that is asleep; false when nobody is. */
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

  /** It had its turn and waits on: asleep again, in its old position. */
  rest(waiter: P): void {
    if (!waiter.woken) return;
    waiter.woken = false;
    this.woken--;
    this.#asleep = this.first;
  }

  /**
   * Ends all waiters with `value`, for primitives that give everybody the same and lose nothing when one is
   * cancelled.
   */
  settleAll(value: unknown): void {
    for (let waiter = this.first; waiter !== null; waiter = this.first) {
      this.remove(waiter);
      waiter._settle('result', value);
    }
  }

  /**
   * Holds asyncio's rule that the waiters of a primitive are all of one loop. What a closed loop left behind
   * will never be woken again, so it is dropped.
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
