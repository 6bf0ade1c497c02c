/** A future that its loop owns while it is pending: `loop.close()` ends it, and reports it as a leak. */
import type { Resource } from '../loop/ownership.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { Future } from './future.ts';

export abstract class OwnedFuture<T> extends Future<T> implements Resource {
  /** Ends the work after a cancel, or after the loop was closed. */
  protected abstract _abandon(): void;

  /** @internal */
  abstract _describe(): string;

  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (!super._cancel(reason, way)) return false;
    this._loop._owned.resources.delete(this);
    this._abandon();
    return true;
  }

  /** @internal */
  _forceClose(): void {
    if (this._state !== 'pending') return;
    this._end('cancelled', 'the event loop was closed');
    this._abandon();
  }
}
