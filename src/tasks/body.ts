/**
 * An operation that runs a body of the user's and may cancel it by itself: a timeout at its deadline, a task
 * group at its first failure.
 *
 * Its own cancel ends the body and goes no further. A cancel from outside comes through the `await` of the
 * operation, counts apart from its own, and passes.
 */
import type { CancelledError } from '../base/errors.ts';
import type { CancelReason } from './cancellation.ts';
import { CancelWay, cancelError } from './cancellation.ts';
import { Operation } from './operation.ts';

export class Body<T> extends Operation<T> {
  /** Why it has cancelled the body; null: it has not. */
  #own: CancelledError | null = null;
  #over: boolean = false;
  /** The body has taken its own cancel back by `uncancel()`. */
  #takenBack: boolean = false;

  /** Cancels the body: once, and not after its end. */
  cancelBody(reason: CancelReason): void {
    if (this.#own !== null || this.#over || this.done()) return;
    this.#own = cancelError(reason, 'the body was cancelled');
    const way = new CancelWay();
    this._scope.cancel(this.#own, way);
    way.finish(this.#own);
  }

  /** Counts as if it had cancelled the body: the caller has. */
  hasCancelled(reason: CancelReason): void {
    this.#own = cancelError(reason, 'the body was cancelled');
  }

  /** The body is over: its own cancel, if it was not thrown in time, is not thrown any more. */
  bodyOver(): void {
    this.#over = true;
    if (this._scope.due && this._scope.reason === this.#own) this._scope.takeDue();
  }

  get hasCancelledBody(): boolean {
    return this.#own !== null;
  }

  /** Whether a cancel that came out of the body was its own, and nothing outside wants it to stop. */
  get ownDoing(): boolean {
    return this.#own !== null && !this.cancelledFromOutside;
  }

  /**
   * As in asyncio, which counts the requests: one that the body has taken back is not there, whichever it
   * was.
   */
  get cancelledFromOutside(): boolean {
    return this._cancelRequests > (this.#takenBack ? 1 : 0);
  }

  /** The signal that the body can pass on. */
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

  /** The body is code of the caller's, so it is as if the cancel had come to the caller. @internal */
  override _returnsCancelAs(): 'late' | 'yes' {
    return this._scope.mustCancel ? 'yes' : 'late';
  }

  /** @internal */
  override _giveBack(reason: CancelReason, due: 'late' | 'yes'): void {
    if (this.cancelledFromOutside) super._giveBack(reason, due);
  }
}
