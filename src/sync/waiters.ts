/**
 * The line in which those who wait for a primitive stand, and what a place in it is.
 *
 * A place (tasks/place.ts) that is cancelled leaves it, and its owner is told, to wake the next one.
 * Until that turn a woken place keeps its position:
 *
 *   first                                    last
 *     v                                       v
 *   [ woken ] <-> [ woken ] <-> [ asleep ] <-> [ asleep ]      wakeNext() takes the first that is asleep
 *
 * The line is linked through the places themselves, so whoever gives up leaves from the middle at no cost and is not kept
 * alive: ten thousand cancels are ten thousand steps.
 */

import { InvalidStateError } from '../base/errors.ts';
import type { Loop } from '../loop/types.ts';
import { Place } from '../tasks/place.ts';

/** One waiter of a primitive. In its turn it still counts as woken; if it waits on, it is asleep again afterwards. */
export class LinePlace<T> extends Place<T> {
  /** Where it stands; these three belong to {@link Waiters}. */
  line: Waiters<LinePlace<T>> | null = null;
  previous: LinePlace<T> | null = null;
  next: LinePlace<T> | null = null;

  protected override _turn(): void {
    this._owner._turnOf(this);
    if (this._state === 'pending') this.line?.rest(this);
  }
}

/** A line of places, first come first served. */
export class Waiters<P extends LinePlace<unknown>> {
  first: P | null = null;
  #last: P | null = null;
  /** Nobody before it is asleep; null when nobody is. */
  #asleep: P | null = null;
  length: number = 0;
  /** How many of them are woken and have not had their turn. */
  woken: number = 0;

  /** Puts a place at the end. */
  push(place: P): void {
    const last = this.#last;
    place.line = this as Waiters<LinePlace<unknown>>;
    place.previous = last;
    if (last === null) this.first = place;
    else last.next = place;
    this.#last = place;
    this.length++;
    if (place.woken) this.woken++;
    else this.#asleep ??= place;
  }

  remove(place: P): void {
    const previous = place.previous as P | null;
    const next = place.next as P | null;
    if (previous === null) this.first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    if (this.#asleep === place) this.#asleep = next;
    if (place.woken) this.woken--;
    this.length--;
    place.line = null;
    place.previous = null;
    place.next = null;
  }

  /** Wakes the first that is asleep; false when nobody is. */
  wakeNext(): boolean {
    let place = this.#asleep;
    while (place?.woken) place = place.next as P | null;
    if (place === null) {
      this.#asleep = null;
      return false;
    }
    this.#asleep = place.next as P | null;
    this.woken++;
    place.wake();
    return true;
  }

  wakeAll(): void {
    while (this.wakeNext());
  }

  /** It had its turn and waits on: asleep again, in its old position. */
  rest(place: P): void {
    if (!place.woken) return;
    place.woken = false;
    this.woken--;
    this.#asleep = this.first;
  }

  /** Ends all places with `value`, for primitives that give everybody the same and lose nothing when one is cancelled. */
  settleAll(value: unknown): void {
    for (let place = this.first; place !== null; place = this.first) {
      this.remove(place);
      place._settle('result', value);
    }
  }

  /**
   * Holds asyncio's rule that the waiters of a primitive are all of one loop. What a closed loop left behind will never
   * be woken again, so it is dropped.
   */
  checkLoop(primitive: string, loop: Loop): void {
    const other = this.first?._loop;
    if (other === undefined || other === loop) return;
    if (!other.isClosed()) {
      throw new InvalidStateError(
        `this ${primitive} has waiters of another event loop: it serves one loop at a time`,
      );
    }
    for (let place = this.first; place !== null; place = this.first) this.remove(place);
  }
}
