/**
 * A waiter in the queue of an owner: for a lock, an item, a line of a stream.
 *
 * The owner wakes the waiter. Later, in the waiter's own turn of the ready queue, the owner decides: it
 * grants what the waiter waits for and delivers it in the same step, or lets it wait again. So a cancel
 * cannot lose a value that was already taken: a cancelled waiter has taken nothing, and its owner is told at
 * once.
 */
import type { Label } from '../loop/recorder.ts';
import type { Loop } from '../loop/types.ts';
import { addOrigin } from './call-site.ts';
import type { Future } from './future.ts';
import { PendingAwait } from './pending-await.ts';
import type { Scope } from './scope.ts';
import { Wakeable } from './wakeable.ts';

export interface WaiterOwner<P> {
  /**
   * Called in the waiter's turn, if it was not cancelled. Grants it, fails it, or leaves it to be woken
   * again.
   */
  _turnOf(waiter: P): void;
  /** Called when the waiter was cancelled. `woken` still tells whether it had been woken. */
  _gaveUp(waiter: P): void;
  /** Returns the name of the wait: `Lock.acquire()`. @internal */
  _nameOf?(waiter: P): string;
  /** Returns the tasks that hold what the waiter waits for, as far as they are known. @internal */
  _holders?(waiter: P): readonly Future<unknown>[];
}

export class Waiter<T> extends Wakeable<T> {
  /** @internal */ readonly _owner: WaiterOwner<Waiter<T>>;

  constructor(loop: Loop, owner: WaiterOwner<never>) {
    super(loop);
    this._owner = owner as WaiterOwner<Waiter<T>>;
  }

  override _asWait(): string {
    return this._owner._nameOf?.(this) ?? super._asWait();
  }

  override _waitLabel(): Label {
    return this._owner.constructor;
  }

  override _waitsFor(): readonly Future<unknown>[] {
    return this._owner._holders?.(this) ?? super._waitsFor();
  }

  /** The scope of the task that awaits this waiter, or null. @internal */
  get _root(): Scope | null {
    for (const waiter of this._eachWaiter()) if (waiter instanceof PendingAwait) return waiter.root;
    return null;
  }

  /** Delivers the value that the waiter waited for. */
  grant(value: T): void {
    this._deliver('result', value);
  }

  fail(error: unknown): void {
    addOrigin(error, this);
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
