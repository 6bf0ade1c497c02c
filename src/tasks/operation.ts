/**
 * An operation of the library whose body is an async function: a coroutine in asyncio.
 *
 * It starts at the call, has a scope of its own, and delivers its result in the step in which it ends, so
 * that no cancel can come between (see `Future._deliver`). It is not a task of the user: `allTasks()` does
 * not list it, and `currentTask()` returns the task that called it.
 */
import { currentEntry } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { CallSite } from './call-site.ts';
import { addCallSite, callSite, siteText } from './call-site.ts';
import type { CancelReason } from './cancellation.ts';
import { PendingAwait } from './pending-await.ts';
import type { Scope } from './scope.ts';
import { Task } from './task.ts';

export class Operation<T> extends Task<T> {
  /** The name of the calling task. That task owns the resources that the operation opens. @internal */
  readonly _caller: string | null;
  /** The place that asked for the operation; null for the body of a limit or a group. @internal */
  _site: CallSite | null = null;

  constructor(loop: Loop, fn: () => PromiseLike<T>, name: string) {
    super(loop, fn, name, scopeWithin(loop));
    const caller = this._scope.parent?._flow as Task | null;
    this._caller = caller?.name ?? null;
  }

  /**
   * A cancel may have come between the last await and the end. The acquired resource must not be lost.
   * @internal
   */
  override _returned(value: T): void {
    if (this._state === 'pending') this._finish('result', value);
  }

  /** @internal */
  override _finish(state: 'result' | 'exception' | 'cancelled', value: unknown): void {
    // The cancel must not be lost either: a scope that passed it on gets it back, and throws it at its next
    // await.
    const due = this._returnsCancelAs();
    const cancel = this._scope.takeDue();
    if (cancel !== null) this._giveBack(cancel, due);
    this._codeEnded();
    if (state === 'exception') {
      addCallSite(value, this._site);
      this._watchRetrieval(value);
    }
    const watched = this._waiters !== null;
    this._deliver(state, value);
    if (!watched) this._tellSoon();
  }

  /** `late`: the cancel came too late if the calling code ends without another await. @internal */
  _returnsCancelAs(): 'late' | 'yes' {
    return 'late';
  }

  /** @internal */
  _giveBack(reason: CancelReason, due: 'late' | 'yes'): void {
    if (!this._cancelRequested()) return;
    for (const waiter of this._eachWaiter()) if (waiter instanceof PendingAwait) waiter.giveBack(reason, due);
  }

  /** @internal */
  override _asWait(): string {
    return `${this.name}() > ${this._standsAt()}`;
  }

  override _waitLabel(): string {
    return this.name;
  }

  /** @internal */
  override _begunAt(): string | null {
    return siteText(this._site) ?? super._begunAt();
  }

  /** @internal */
  override _asCancelled(): string {
    return `${this.name}()`;
  }

  /** @internal */
  override _path(): string {
    return this._caller === null ? this.name : `${this._caller}, in ${this.name}()`;
  }
}

/** Returns the scope of the calling code, if it is code of `loop`, otherwise the loop's scope. */
function scopeWithin(loop: Loop): Scope {
  const scope = currentEntry() as Scope | null;
  return scope?._loop === loop ? scope : (loop._context as Scope);
}

/** Starts an {@link Operation}: `fn` runs now, until its first `await`. */
export function operation<T>(loop: Loop, name: string, fn: () => PromiseLike<T>): Operation<T> {
  const site = callSite(operation);
  const op = new Operation<T>(loop, fn, name);
  op._site = site;
  op._run();
  return op;
}
