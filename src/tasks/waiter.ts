/**
 * One who waits for something that its owner gives: a lock, an item, a line of a stream.
 *
 * A waiter is woken, and *then*, in its own turn of the ready queue, its owner decides: it takes what it
 * waits for and the result is handed over in the same step, or it waits on. So there is no moment in which
 * something was taken but a cancel could lose it: a waiter that is cancelled has taken nothing, and its owner
 * is told at once.
 */
import type { Loop } from '../loop/types.ts';
import { Wakeable } from './wakeable.ts';

export interface WaiterOwner<P> {
  /**
   * The waiter's turn has come, and it was not cancelled: grant or fail it, or leave it to be woken again.
   */
  _turnOf(waiter: P): void;
  /** The waiter was cancelled. It still says whether it was woken. */
  _gaveUp(waiter: P): void;
}

export class Waiter<T> extends Wakeable<T> {
  /** @internal */ readonly _owner: WaiterOwner<Waiter<T>>;

  constructor(loop: Loop, owner: WaiterOwner<never>) {
    super(loop);
    this._owner = owner as WaiterOwner<Waiter<T>>;
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
