/**
 * A stretch of a task that can be cancelled by itself: the body of a timeout, of a task group.
 *
 * Cancelling it cancels the task, and that is taken back when the stretch ends (`cancelling()` and `uncancel()`, as in
 * asyncio). Whether a CancelledError that comes out of the stretch was its own, or whether somebody else wants the task to
 * stop as well, is told by the count: are there more requests than when the stretch began?
 *
 * A request that had been made but not thrown when the stretch began counts as one that came during it: it will be
 * thrown within.
 */
import type { CancelledError } from '../base/errors.ts';
import type { Task } from './task.ts';

export class CancelScope {
  readonly task: Task;
  readonly #before: number;
  #requested: boolean = false;
  #ended: boolean = false;

  constructor(task: Task) {
    this.task = task;
    this.#before = task.cancelling() - (task._cancelDue() ? 1 : 0);
  }

  /** Cancels what the task does in the stretch: once, and not after its end. */
  cancel(reason: string | CancelledError): void {
    if (this.#requested || this.#ended) return;
    this.#requested = this.task._cancel(reason);
  }

  /** Whether somebody else has asked the task to stop since the stretch began. */
  cancelledFromOutside(): boolean {
    return this.task.cancelling() - (this.#requested ? 1 : 0) > this.#before;
  }

  /** Ends the stretch. True when it was cancelled, and by nobody but itself. */
  end(): boolean {
    const fromOutside = this.cancelledFromOutside();
    this.#ended = true;
    if (!this.#requested) return false;
    this.#requested = false;
    this.task.uncancel();
    if (fromOutside) return false;
    // Not thrown in time: there was no await left in the stretch.
    this.task._takeCancel();
    return true;
  }
}
