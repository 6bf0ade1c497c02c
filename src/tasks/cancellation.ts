/**
 * The way of one cancel request: from a task to the future that it awaits, and onward until the request ends
 * a future.
 *
 * Tasks that await tasks form chains of any length, so a stack replaces recursion. It visits the targets in
 * the same order as recursion would.
 */
import { CancelledError } from '../base/errors.ts';
import { brief } from '../base/one-line.ts';
import { currentTaskOrNull } from '../loop/context.ts';

/** A message, or an existing error, such as the cause of an aborted signal. */
export type CancelReason = string | CancelledError | undefined;

/** An object that a cancel request can reach. */
export interface CancelTarget {
  /**
   * Ends the object, or adds the objects to `way` to which the request is passed on.
   *
   * @returns false if the object is done or cannot be cancelled
   * @internal
   */
  _cancel(reason: CancelReason, way: CancelWay): boolean;
}

export interface PassingTask {
  /**
   * True while a request passes through this task. If the request arrives again, tasks wait for each other in
   * a cycle. @internal
   */
  _passing: boolean;
}

/** The remaining targets of one request. */
export class CancelWay {
  readonly #ahead: CancelTarget[] = [];

  /** Passes the request on to `targets`, in their order, before targets that were added earlier. */
  pass(targets: readonly CancelTarget[]): void {
    for (let at = targets.length - 1; at >= 0; at--) this.#ahead.push(targets[at] as CancelTarget);
  }

  /** Marks `task` as passing until all targets that are added from now on were visited. */
  enter(task: PassingTask): void {
    task._passing = true;
    this.#ahead.push(new Exit(task));
  }

  /** Visits the targets until none is left. */
  finish(reason: CancelReason): void {
    try {
      for (let next = this.#ahead.pop(); next !== undefined; next = this.#ahead.pop())
        next._cancel(reason, this);
    } finally {
      for (const left of this.#ahead) if (left instanceof Exit) left._cancel();
    }
  }
}

class Exit implements CancelTarget {
  readonly #task: PassingTask;

  constructor(task: PassingTask) {
    this.#task = task;
  }

  _cancel(): boolean {
    this.#task._passing = false;
    return true;
  }
}

/**
 * Cancels `target` and every target that it passes the request on to. Returns the result of its `_cancel()`.
 */
export function cancelNow(target: CancelTarget, reason: CancelReason): boolean {
  const way = new CancelWay();
  const taken = target._cancel(reason, way);
  way.finish(reason);
  return taken;
}

/**
 * Returns the calling task as the author of a cancel: ` by task 'main'`. Nothing for code outside of tasks.
 */
export function byTask(): string {
  const task = currentTaskOrNull();
  return task === null ? '' : ` by task ${brief(task.name)}`;
}

/** Returns the error to throw for a reason. */
export function cancelError(reason: CancelReason, message: string): CancelledError {
  return reason instanceof CancelledError ? reason : new CancelledError(reason ?? message);
}

/**
 * Returns the cancel that caused an error, or null if the error is another failure.
 *
 * The language and the host wrap cancels in other errors: in an `AbortError`, if a host operation got a
 * signal of this library; in a `SuppressedError`, if a disposer was cancelled; in an `AggregateError` of
 * `Promise.any()`, if every promise was cancelled.
 */
export function asCancel(error: unknown): CancelledError | null {
  if (error instanceof CancelledError) return error;
  if (typeof error !== 'object' || error === null) return null;
  const { name, cause, error: newer, errors } = error as Record<string, unknown>;
  if (name === 'AbortError') return cause instanceof CancelledError ? cause : null;
  if (name === 'SuppressedError') return asCancel(newer);
  if (name !== 'AggregateError' || !Array.isArray(errors) || errors.length === 0) return null;
  return errors.every((one) => asCancel(one) !== null) ? asCancel(errors[0]) : null;
}
