/**
 * One who waits for something that its owner gives: a lock, an item, a line of a stream.
 *
 * A place is woken, and *then*, in its own turn of the ready queue, its owner decides: it takes what it waits for and the
 * result is handed over in the same step, or it waits on. So there is no moment in which something was taken but a
 * cancel could lose it: a place that is cancelled has taken nothing, and its owner is told at once.
 */
import type { Loop } from '../loop/types.ts';
import { Wakeable } from './wakeable.ts';

export interface PlaceOwner<P> {
  /** The place's turn has come, and it was not cancelled: grant or fail it, or leave it to be woken again. */
  _turnOf(place: P): void;
  /** The place was cancelled. It still says whether it was woken. */
  _gaveUp(place: P): void;
}

export class Place<T> extends Wakeable<T> {
  /** @internal */ readonly _owner: PlaceOwner<Place<T>>;

  constructor(loop: Loop, owner: PlaceOwner<never>) {
    super(loop);
    this._owner = owner as PlaceOwner<Place<T>>;
  }

  /** This is what it came for. */
  grant(value: T): void {
    this._deliver('result', value);
  }

  fail(error: unknown): void {
    this._watchRetrieval(error);
    this._deliver('exception', error);
  }

  protected override _turn(): void {
    this.woken = false;
    this._owner._turnOf(this);
  }

  protected override _gaveUp(): void {
    this._owner._gaveUp(this);
  }
}
