/**
 * A part of the code that can be cancelled by itself: the code of a task, the body of a timeout or a task
 * group, an operation of the library, or all other code of a loop.
 *
 * The async context carries the scope. So an `await` of a future finds the innermost scope around it, and
 * registers there. The scope is a record of its own and not the task, because a context lives as long as any
 * timer that was created in it, and would keep the task's result in memory.
 *
 * A cancel ends the waits of one scope, and is thrown once. A scope may have more waits than the one at which
 * its flow stands: waits of helpers that are not awaited, and losers of a `Promise.race()`. So the scope
 * observes the effect of the cancel:
 * - If no other wait of the scope has ended since a wait began, the scope takes this wait for the flow's own.
 *   Ending it delivers the cancel.
 * - A wait is old if other waits of the scope have ended since it began: it may be a loser of a race. Ending
 *   it delivers the cancel if the code behind it reacts, that is, if it begins another wait in the scope, or
 *   the scope ends.
 * - If a wait's wake-up is already in the ready queue, it throws the cancel instead of its value, as in
 *   asyncio. But if other waits are pending, it keeps its value, and the cancel goes to the pending waits.
 * - An operation that listens to the scope's signal when it aborts also delivers the cancel.
 * - Otherwise the flow awaits a host promise, which nothing can interrupt. The cancel stays due until the
 *   next wait.
 */
import type { CancelledError } from '../base/errors.ts';
import type { Linked } from '../base/linked-list.ts';
import { currentEntry } from '../loop/context.ts';
import type { Label } from '../loop/recorder.ts';
import type { ContextEntry, Loop, TaskLike } from '../loop/types.ts';
import type { CancelReason, CancelTarget } from './cancellation.ts';
import { CancelWay, cancelError, cancelNow } from './cancellation.ts';
import { ListenedSignal } from './listened-signal.ts';

/** The task or operation whose code runs in a scope. */
export interface Flow extends TaskLike {
  /** A cancel reached no wait: the code awaits a host promise. @internal */
  _cancelStuck(): void;
  /** The cancel was thrown after all. @internal */
  _cancelThrown(): void;
  /** The number of a task, for the recorder. @internal */
  readonly _number: number;
}

/** An `await` of a future, as its scope sees it. */
export interface ScopedWait extends CancelTarget {
  readonly future: { _asWait(): string; _waitLabel(): Label | null };
  /** True if the future is done and the wake-up is in the ready queue. */
  readonly woken: boolean;
  /** Makes the wake-up throw `reason`, whatever the future's result is. */
  throwAtWakeUp(reason: CancelReason): void;
  /** Takes the cancel back: the wake-up delivers the future's result. */
  forgive(): void;
  /** The number of waits of the scope that had ended when this wait began. */
  endedBefore: number;
  /** The cancel that this wait received while it was old. */
  delivery: Delivery | null;
  previous: ScopedWait | null;
  next: ScopedWait | null;
}

/** A cancel that was passed to several waits, none of which is known to be the flow's own. */
interface Delivery {
  readonly reason: CancelReason;
  /** The number of these waits that have not ended. */
  waiting: number;
}

/**
 * `late`: the operation that the cancel was meant for had ended, and its result must not be lost. A task that
 * ends without another wait keeps its result.
 */
type Due = 'no' | 'late' | 'yes';

export class Scope implements ContextEntry, Linked {
  readonly _loop: Loop;
  /** The scope in which this scope was created. Null for a task's scope and for the loop's. */
  readonly parent: Scope | null;
  /** The task's scope, or the loop's, that contains this scope. */
  readonly root: Scope;
  /** Null when the code has ended, and in the loop's scope. */
  _flow: Flow | null;
  /** @internal */ _previous: Linked | null = null;
  /** @internal */ _next: Linked | null = null;
  #first: ScopedWait | null = null;
  #last: ScopedWait | null = null;
  #begun: number = 0;
  #ended: number = 0;
  #due: Due = 'no';
  #reason: CancelReason = undefined;
  #signal: ListenedSignal | null = null;

  constructor(loop: Loop, parent: Scope | null, flow: Flow | null) {
    this._loop = loop;
    this.parent = parent;
    this.root = parent === null ? this : parent.root;
    this._flow = flow;
  }

  /** The task that runs this code, also inside operations and bodies. */
  get _task(): TaskLike | null {
    return this.root._flow;
  }

  /** Returns the signal that aborts when the scope is cancelled. */
  signal(cancelled: boolean): AbortSignal {
    this.#signal ??= new ListenedSignal(() => this.#reasonSeen());
    if (cancelled) this.#signal.abort(this.#error());
    return this.#signal.signal;
  }

  /** Takes the cancel back. The next signal is a new one. */
  forgive(): void {
    if (this.#due !== 'no') this._flow?._cancelThrown();
    this.#due = 'no';
    for (let wait = this.#first; wait !== null; wait = wait.next) wait.forgive();
    if (this.#signal?.signal.aborted) this.#signal = null;
  }

  /** True if there is a cancel that was not thrown yet. */
  get due(): boolean {
    return this.#due !== 'no';
  }

  /** The reason of the last cancel. */
  get reason(): CancelReason {
    return this.#reason;
  }

  /** True if the cancel also counts when the code ends without another await. */
  get mustCancel(): boolean {
    return this.#due === 'yes';
  }

  /** Takes the due cancel, which the caller must throw. */
  takeDue(): CancelledError | null {
    if (this.#due === 'no') return null;
    this.#due = 'no';
    this._flow?._cancelThrown();
    return this.#error();
  }

  /** Makes a cancel due that was thrown elsewhere. */
  cancelLater(reason: CancelReason, due: 'late' | 'yes'): void {
    if (this._flow === null || this.#due === 'yes') return;
    this.#due = due;
    this.#reason = reason;
  }

  /** Cancels the code: ends its waits, aborts its signal, or makes the cancel due. */
  cancel(reason: CancelReason, way: CancelWay): void {
    this.#reason = reason;
    this.#due = 'no';
    let delivered = this.#signal?.abort(this.#error()) ?? false;
    const pending: ScopedWait[] = [];
    const woken: ScopedWait[] = [];
    for (let wait = this.#first; wait !== null; wait = wait.next) (wait.woken ? woken : pending).push(wait);
    if (pending.length > 0) way.pass(pending);
    else for (const wait of woken) wait.throwAtWakeUp(reason);
    const oneKind = pending.length === 0 || woken.length === 0;
    const delivery: Delivery = { reason, waiting: 0 };
    for (const wait of pending.length > 0 ? pending : woken) {
      if (oneKind && wait.endedBefore === this.#ended) {
        delivered = true;
      } else {
        delivery.waiting++;
        wait.delivery = delivery;
      }
    }
    if (delivered) delivery.waiting = NEVER;
    else if (delivery.waiting === 0) this.#stuck(reason);
  }

  /** The pending wait that began last. */
  get lastWait(): ScopedWait | null {
    return this.#last;
  }

  /** The pending waits, in the order in which they began. */
  *waits(): IterableIterator<ScopedWait> {
    for (let wait = this.#first; wait !== null; wait = wait.next) yield wait;
  }

  /** Cancels the waits of code that no longer belongs to a task. */
  cancelWaits(reason: CancelReason): void {
    const way = new CancelWay();
    this.cancel(reason, way);
    way.finish(reason);
  }

  begin(wait: ScopedWait): void {
    const last = this.#last;
    wait.endedBefore = this.#ended;
    wait.previous = last;
    if (last === null) this.#first = wait;
    else last.next = wait;
    this.#last = wait;
    this.#begun++;
    if (this._flow === null) this._loop._owned.loose.add(this);
    if (this.#due !== 'no') this.#throwInto(wait);
  }

  /** Removes a wait whose future is done. Its code is about to continue. */
  end(wait: ScopedWait): void {
    const { previous, next, delivery } = wait;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    wait.previous = null;
    wait.next = null;
    this.#ended++;
    const scheduler = this._loop._scheduler;
    scheduler.lastRun = this;
    const label = wait.future._waitLabel();
    if (label !== null) scheduler.recorder?.wake(this.root._flow?._number ?? 0, label);
    if (this.#first === null && this._flow === null) this._loop._owned.loose.delete(this);
    if (delivery !== null) this.#watch(wait, delivery);
  }

  /** The code has ended. Waits of its helpers continue outside of it. */
  close(): void {
    this._flow = null;
    this.#due = 'no';
    this.#signal = null;
    if (this.#first !== null) this._loop._owned.loose.add(this);
  }

  /** Code of the scope has read the reason of its signal, and is about to throw it. */
  #reasonSeen(): void {
    for (let scope = currentEntry() as Scope | null; scope !== null; scope = scope.parent) {
      if (scope === this) this.takeDue();
    }
  }

  #error(): CancelledError {
    const error = cancelError(this.#reason, 'the task was cancelled');
    this.#reason = error;
    return error;
  }

  /** The due cancel ends the wait that has just begun. */
  #throwInto(wait: ScopedWait): void {
    this.#due = 'no';
    this._flow?._cancelThrown();
    cancelNow(wait, this.#reason);
  }

  /** After the drain it is known whether the code has reacted to the end of its wait. */
  #watch(wait: ScopedWait, delivery: Delivery): void {
    wait.delivery = null;
    const begun = this.#begun;
    this._loop._scheduler.behindDrain(() => {
      delivery.waiting--;
      if (this.#begun !== begun || this._flow === null) delivery.waiting = NEVER;
      else if (delivery.waiting === 0) this.#stuck(delivery.reason);
    });
  }

  /**
   * No code took the cancel. Waits that began meanwhile are cancelled; without such waits the cancel is due.
   */
  #stuck(reason: CancelReason): void {
    if (this._flow === null) return;
    if (this.#first !== null) {
      this.cancelWaits(reason);
      return;
    }
    this.#reason = reason;
    this.#due = 'yes';
    this._flow._cancelStuck();
  }
}

/** Counting down never makes it zero: the cancel was delivered. */
const NEVER = Number.NaN;
