/**
 * The line in which those who wait for a primitive stand, and what a place in it is.
 *
 * A place is woken, and *then*, in its own turn of the ready queue, its owner decides: it takes what it waits for and the
 * result is handed over in the same step, or it waits on. So there is no moment in which something was taken but a
 * cancel could lose it: a place that is cancelled has taken nothing, and its owner is told at once, to wake the next one.
 * Until that turn a woken place keeps its position:
 *
 *   first                                    last
 *     v                                       v
 *   [ woken ] <-> [ woken ] <-> [ asleep ] <-> [ asleep ]      wakeNext() takes the first that is asleep
 *
 * The line is linked through the places themselves, so whoever gives up leaves from the middle at no cost and is not kept
 * alive: ten thousand cancels are ten thousand steps.
 */

import type { CancelledError } from '../base/errors.ts';
import { InvalidStateError } from '../base/errors.ts';
import { checkOptions, checkSignal } from '../base/validate.ts';
import type { Runnable } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { abortError } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';

export interface PlaceOwner<P> {
  /** The place's turn has come, and it was not cancelled: grant or fail it, or leave it in its line to be woken again. */
  _turnOf(place: P): void;
  /** The place was cancelled. It is still in its line, and still says whether it was woken. */
  _gaveUp(place: P): void;
}

/** One waiter of a primitive. */
export class Place<T> extends Future<T> implements Runnable {
  readonly #owner: PlaceOwner<Place<T>>;
  /** In the ready queue, and its turn has not come yet. */
  woken: boolean = false;
  /** Where it stands; these three belong to {@link Waiters}. */
  line: Waiters<Place<T>> | null = null;
  previous: Place<T> | null = null;
  next: Place<T> | null = null;

  constructor(loop: Loop, owner: PlaceOwner<Place<T>>) {
    super(loop);
    this.#owner = owner;
  }

  /** Idempotent until its turn comes. A place that stands in a line is woken by the line, which keeps count. */
  wake(): void {
    if (this.woken || this._state !== 'pending') return;
    this.woken = true;
    this._loop._scheduler.push(this);
  }

  /** It has left its line, and this is what it came for. */
  grant(value: T): void {
    this._deliver('result', value);
  }

  fail(error: unknown): void {
    this._watchRetrieval(error);
    this._deliver('exception', error);
  }

  /** Its turn in the ready queue. */
  _run(): void {
    if (this._state !== 'pending') return;
    this.#owner._turnOf(this);
    if (this._state === 'pending') this.line?.rest(this);
  }

  override _cancel(reason: string | CancelledError | undefined): boolean {
    if (!super._cancel(reason)) return false;
    this.#owner._gaveUp(this);
    return true;
  }
}

/** A line of places, first come first served. */
export class Waiters<P extends Place<unknown>> {
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
    place.line = this as Waiters<Place<unknown>>;
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

const SIGNAL_OPTIONS = ['signal'];

/** The signal of a waiting method's options, checked. */
export function signalOf(options: SignalOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  checkOptions('options', options, SIGNAL_OPTIONS);
  checkSignal('options.signal', options.signal);
  return options.signal;
}

/** What is there already: awaiting it costs no turn. */
export function succeeded<T>(loop: Loop, value: T): Future<T> {
  const future = new Future<T>(loop);
  future._state = 'result';
  future._value = value;
  return future;
}

export function failed<T>(loop: Loop, error: Error): Future<T> {
  const future = new Future<T>(loop);
  future._fail(error);
  return future;
}

/** For a signal that was aborted before the call: then nothing is taken, even if it is there. */
export function aborted<T>(loop: Loop, signal: AbortSignal): Future<T> {
  const future = new Future<T>(loop);
  future._cancel(abortError(signal));
  return future;
}
