/**
 * An operation that runs a function of the user and can cancel it: a timeout at its deadline, a task group at
 * its first failure.
 *
 * Its own cancel ends the body and goes no further. A cancel from outside arrives at the `await` of the
 * operation. It is counted separately, and continues outward.
 */
import type { CancelledError } from '../base/errors.ts';
import { addOrigin } from './call-site.ts';
import type { CancelReason } from './cancellation.ts';
import { CancelWay, cancelError } from './cancellation.ts';
import { Operation } from './operation.ts';

export class Body<T> extends Operation<T> {
  /** The reason with which this operation cancelled its body, or null if it did not. */
  #own: CancelledError | null = null;
  #over: boolean = false;
  /** The body called `uncancel()` for this operation's own cancel. */
  #takenBack: boolean = false;

  /** Cancels the body. A second call, and a call after the body's end, do nothing. */
  cancelBody(reason: CancelReason): void {
    if (this.#own !== null || this.#over || this.done()) return;
    this.#own = cancelError(reason, 'the body was cancelled');
    addOrigin(this.#own, this);
    const way = new CancelWay();
    this._scope.cancel(this.#own, way);
    way.finish(this.#own);
  }

  /** Records that the caller itself has cancelled the body. */
  hasCancelled(reason: CancelReason): void {
    this.#own = cancelError(reason, 'the body was cancelled');
  }

  /** Records that the body has ended. If the operation's own cancel was not thrown by then, it is dropped. */
  bodyOver(): void {
    this.#over = true;
    if (this._scope.due && this._scope.reason === this.#own) this._scope.takeDue();
  }

  get hasCancelledBody(): boolean {
    return this.#own !== null;
  }

  /** True if only this operation cancelled the body, and no cancel came from outside. */
  get ownDoing(): boolean {
    return this.#own !== null && !this.cancelledFromOutside;
  }

  /**
   * Counts the requests, as asyncio does: `uncancel()` in the body takes back one request, whoever made it.
   */
  get cancelledFromOutside(): boolean {
    return this._cancelRequests > (this.#takenBack ? 1 : 0);
  }

  /** The signal that the body can pass to other operations. */
  get bodySignal(): AbortSignal {
    return this._scope.signal(this._cancelRequested());
  }

  /** @internal */
  override get _cancelledItself(): boolean {
    return this.#own !== null && !this.#takenBack;
  }

  /** @internal */
  override _takeBack(): void {
    if (this._cancelRequests > 0) super._takeBack();
    else if (this.#own !== null) this.#takenBack = true;
  }

  /** @internal */
  override _cancelRequested(): boolean {
    return this.#own !== null || super._cancelRequested();
  }

  /** @internal */
  override _finish(state: 'result' | 'exception' | 'cancelled', value: unknown): void {
    this.bodyOver();
    super._finish(state, value);
  }

  /** The body is the caller's code, so a cancel of the body counts as a cancel of the caller. @internal */
  override _returnsCancelAs(): 'late' | 'yes' {
    return this._scope.mustCancel ? 'yes' : 'late';
  }

  /** @internal */
  override _giveBack(reason: CancelReason, due: 'late' | 'yes'): void {
    if (this.cancelledFromOutside) super._giveBack(reason, due);
  }
}
