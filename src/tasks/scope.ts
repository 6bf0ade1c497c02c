/**
 * A stretch of code that can be cancelled by itself: the code of a task, the body of a timeout or a task
 * group, an operation of the library, or all code of a loop outside of these.
 *
 * It is what travels in the async context. So the `await` of a future of ours finds the innermost scope that
 * it is in, and registers there. It is a record of its own, and not the task: a context lives as long as any
 * timer that was made in it, and would keep the task's result.
 *
 * A cancel ends the waits of one scope, and is thrown once. A scope may hold more waits than the one at which
 * its flow stands: of helpers that nobody awaits, of losers of a `Promise.race()`. So the scope looks at what
 * the cancel brings about:
 * - A wait that no other wait of the scope has outlived is taken for the flow's own. Ending it delivers the
 *   cancel.
 * - A wait is old when others of the scope have ended since it began: it may be a loser of a race. Ending it
 *   delivers the cancel if the code behind it reacts: it comes to another wait of the scope, or the scope
 *   ends.
 * - A wait whose wake-up stands in the ready queue throws the cancel instead of its value, as in asyncio; but
 *   where others are pending, it keeps its value, and the cancel goes to these.
 * - An operation that listens to the scope's signal when that aborts delivers it, too.
 * - Otherwise the flow stands at a promise of the host's, which nothing can interrupt. The cancel stays due,
 *   for the next wait.
 */
import type { CancelledError } from '../base/errors.ts';
import type { Linked } from '../base/linked-list.ts';
import { currentEntry } from '../loop/context.ts';
import type { ContextEntry, Loop, TaskLike } from '../loop/types.ts';
import type { CancelReason, CancelTarget } from './cancellation.ts';
import { CancelWay, cancelError, cancelNow } from './cancellation.ts';
import { ListenedSignal } from './listened-signal.ts';

/** The task or operation whose code runs in a scope. */
export interface Flow extends TaskLike {
  /** A cancel reached nothing: the code stands at a promise of the host's. @internal */
  _cancelStuck(): void;
  /** It was thrown after all. @internal */
  _cancelThrown(): void;
}

/** An `await` of a future, as its scope sees it. */
export interface ScopedWait extends CancelTarget {
  /** Its future is done, and its wake-up stands in the ready queue. */
  readonly woken: boolean;
  /** Throws `reason` at its wake-up, whatever the future gives. */
  throwAtWakeUp(reason: CancelReason): void;
  /** The cancel was taken back: its wake-up gives what the future gives. */
  forgive(): void;
  /** How many waits of the scope had ended when it began. */
  endedBefore: number;
  /** The cancel that it took while it was old. */
  delivery: Delivery | null;
  previous: ScopedWait | null;
  next: ScopedWait | null;
}

/** A cancel that was passed to waits of which none is known for the flow's own. */
interface Delivery {
  readonly reason: CancelReason;
  /** Those that have not ended. */
  waiting: number;
}

/**
 * `late`: the operation that it was for had ended, and what that gave must not be lost. A task that ends
 * without another wait keeps it.
 */
type Due = 'no' | 'late' | 'yes';

export class Scope implements ContextEntry, Linked {
  readonly _loop: Loop;
  /** The scope in which this one was begun. Null: a task's own, or the loop's. */
  readonly parent: Scope | null;
  /** The task's scope, or the loop's, that this one is within. */
  readonly root: Scope;
  /** Null when its code is over, and in the loop's scope. */
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

  /** The task whose code this is: operations and bodies are looked through. */
  get _task(): TaskLike | null {
    return this.root._flow;
  }

  /** Aborts when the scope is cancelled. */
  signal(cancelled: boolean): AbortSignal {
    this.#signal ??= new ListenedSignal(() => this.#reasonSeen());
    if (cancelled) this.#signal.abort(this.#error());
    return this.#signal.signal;
  }

  /** The cancel was taken back: the next signal is a fresh one. */
  forgive(): void {
    if (this.#due !== 'no') this._flow?._cancelThrown();
    this.#due = 'no';
    for (let wait = this.#first; wait !== null; wait = wait.next) wait.forgive();
    if (this.#signal?.signal.aborted) this.#signal = null;
  }

  /** A cancel that was not thrown yet. */
  get due(): boolean {
    return this.#due !== 'no';
  }

  /** Why it was cancelled last. */
  get reason(): CancelReason {
    return this.#reason;
  }

  /** A cancel that the end of the code does not outrun. */
  get mustCancel(): boolean {
    return this.#due === 'yes';
  }

  /** Takes the cancel that is due: the caller throws it. */
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

  /** Cancels the code: its waits end, its signal aborts, or the cancel is due. */
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

  /** Cancels waits of code that belongs to no task any more. */
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

  /** Its future is done, and its code is about to go on. */
  end(wait: ScopedWait): void {
    const { previous, next, delivery } = wait;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    wait.previous = null;
    wait.next = null;
    this.#ended++;
    if (this.#first === null && this._flow === null) this._loop._owned.loose.delete(this);
    if (delivery !== null) this.#watch(wait, delivery);
  }

  /** The code is over. Waits of its helpers go on outside of it. */
  close(): void {
    this._flow = null;
    this.#due = 'no';
    this.#signal = null;
    if (this.#first !== null) this._loop._owned.loose.add(this);
  }

  /** Code of the scope has looked at the reason of its signal: it is about to throw it. */
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

  /** The cancel that is due ends the wait that has just begun. */
  #throwInto(wait: ScopedWait): void {
    this.#due = 'no';
    this._flow?._cancelThrown();
    cancelNow(wait, this.#reason);
  }

  /** Behind all that the end of the wait brings about, it is known whether its code has reacted. */
  #watch(wait: ScopedWait, delivery: Delivery): void {
    wait.delivery = null;
    const begun = this.#begun;
    this._loop._scheduler.behindDrain(() => {
      delivery.waiting--;
      if (this.#begun !== begun || this._flow === null) delivery.waiting = NEVER;
      else if (delivery.waiting === 0) this.#stuck(delivery.reason);
    });
  }

  /** No code took the cancel. Waits that began meanwhile do; else it is due. */
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

/** It never becomes zero by counting down: the cancel was delivered. */
const NEVER = Number.NaN;
