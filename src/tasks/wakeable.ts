/**
 * A future that stands in the ready queue itself. Its turn there decides how it ends.
 *
 * A cancel that comes between the wake-up and the turn keeps the place in the queue, as in asyncio: the
 * future ends in its turn.
 */
import type { Runnable } from '../loop/handle.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { Future } from './future.ts';

export abstract class Wakeable<T> extends Future<T> implements Runnable {
  /** In the ready queue, and its turn has not come yet. */
  woken: boolean = false;
  /**
   * A cancel came since, with `_value` as its reason. No private field: those cost each instance a slower
   * definition. @internal
   */
  _cancelled: boolean = false;

  /** Idempotent until its turn comes. */
  wake(): void {
    if (this.woken || this._state !== 'pending') return;
    this.woken = true;
    this._loop._scheduler.push(this);
  }

  /** Its turn in the ready queue. */
  _run(): void {
    if (this._state !== 'pending') return;
    if (!this._cancelled) {
      this._turn();
    } else {
      this._deliver('cancelled', this._value);
      this._gaveUp();
    }
  }

  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (this._state !== 'pending') return false;
    if (this.woken) {
      // Of two cancels the first counts.
      if (!this._cancelled) this._value = reason;
      this._cancelled = true;
      return true;
    }
    super._cancel(reason, way);
    this._gaveUp();
    return true;
  }

  /** It was not cancelled: delivers how it ends, or waits on. */
  protected abstract _turn(): void;

  /** It was cancelled. `woken` still says when. */
  protected _gaveUp(): void {}
}
