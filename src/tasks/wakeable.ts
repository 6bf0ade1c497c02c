/**
 * A future that is itself an entry of the ready queue. In its turn it decides how it ends.
 *
 * If a cancel comes between the wake-up and the turn, the future keeps its place in the queue, as in asyncio,
 * and ends in its turn.
 */
import type { Runnable } from '../loop/handle.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { Future } from './future.ts';

export abstract class Wakeable<T> extends Future<T> implements Runnable {
  /** True while the future is in the ready queue and its turn has not come yet. */
  woken: boolean = false;
  /**
   * A cancel came after the wake-up; its reason is in `_value`. Not a private field, because a private field
   * makes the creation of each instance slower. @internal
   */
  _cancelled: boolean = false;

  /** Puts the future into the ready queue. A second call before its turn does nothing. */
  wake(): void {
    if (this.woken || this._state !== 'pending') return;
    this.woken = true;
    this._loop._scheduler.push(this);
  }

  /** The turn in the ready queue. */
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
      // If there are two cancels, the first counts.
      if (!this._cancelled) this._value = reason;
      this._cancelled = true;
      return true;
    }
    super._cancel(reason, way);
    this._gaveUp();
    return true;
  }

  /** Called if it was not cancelled. Delivers the end, or keeps waiting. */
  protected abstract _turn(): void;

  /** Called if it was cancelled. `woken` still tells when. */
  protected _gaveUp(): void {}
}
