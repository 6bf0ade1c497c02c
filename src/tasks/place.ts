/**
 * One who waits for something that its owner gives: a lock, an item, a line of a stream.
 *
 * A place is woken, and *then*, in its own turn of the ready queue, its owner decides: it takes what it waits for and the
 * result is handed over in the same step, or it waits on. So there is no moment in which something was taken but a
 * cancel could lose it: a place that is cancelled has taken nothing, and its owner is told at once.
 */
import type { Runnable } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { Future } from './future.ts';

export interface PlaceOwner<P> {
  /** The place's turn has come, and it was not cancelled: grant or fail it, or leave it to be woken again. */
  _turnOf(place: P): void;
  /** The place was cancelled. It still says whether it was woken. */
  _gaveUp(place: P): void;
}

export class Place<T> extends Future<T> implements Runnable {
  /** In the ready queue, and its turn has not come yet. */
  woken: boolean = false;
  /** @internal */ readonly _owner: PlaceOwner<Place<T>>;

  constructor(loop: Loop, owner: PlaceOwner<never>) {
    super(loop);
    this._owner = owner as PlaceOwner<Place<T>>;
  }

  /** Idempotent until its turn comes. */
  wake(): void {
    if (this.woken || this._state !== 'pending') return;
    this.woken = true;
    this._loop._scheduler.push(this);
  }

  /** This is what it came for. */
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
    this.woken = false;
    this._owner._turnOf(this);
  }

  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (!super._cancel(reason, way)) return false;
    this._owner._gaveUp(this);
    return true;
  }
}
