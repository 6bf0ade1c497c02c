/**
 * How one request to cancel travels: from a task to the future that it awaits, and from there on, until
 * something ends by it.
 *
 * Tasks that await tasks are chains of any length, so the way is a stack and no recursion. It visits what
 * recursion would, in the same order.
 */
import { CancelledError } from '../base/errors.ts';

/** A message, or the error itself where there is one: the cause of an aborted signal. */
export type CancelReason = string | CancelledError | undefined;

/** Something that a request reaches. */
export interface CancelTarget {
  /**
   * Ends by the request, or puts those into `way` that it is passed on to.
   *
   * @returns false: it is done, or cannot be cancelled
   * @internal
   */
  _cancel(reason: CancelReason, way: CancelWay): boolean;
}

export interface PassingTask {
  /**
   * A request is on its way through this task: if it comes again, tasks wait for each other in a circle.
   * @internal
   */
  _passing: boolean;
}

/** The rest of the way of one request. */
export class CancelWay {
  readonly #ahead: CancelTarget[] = [];

  /** Sends the request on to `targets`, in their order, before anything that was put here earlier. */
  pass(targets: readonly CancelTarget[]): void {
    for (let at = targets.length - 1; at >= 0; at--) this.#ahead.push(targets[at] as CancelTarget);
  }

  /** The request enters `task`. It leaves it when all that is passed on from now on has been visited. */
  enter(task: PassingTask): void {
    task._passing = true;
    this.#ahead.push(new Exit(task));
  }

  /** Goes on until nothing is ahead. */
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

/** Cancels `target` and all that it passes the request on to. Answers as its `_cancel()` does. */
export function cancelNow(target: CancelTarget, reason: CancelReason): boolean {
  const way = new CancelWay();
  const taken = target._cancel(reason, way);
  way.finish(reason);
  return taken;
}

/** The error to throw for a reason. */
export function cancelError(reason: CancelReason, message: string): CancelledError {
  return reason instanceof CancelledError ? reason : new CancelledError(reason ?? message);
}

/**
 * The cancel behind an error, or null where it is another failure.
 *
 * The language and the host wrap cancels: `AbortError` of an operation that was given a signal of ours,
 * `SuppressedError` where a disposer was cancelled, `AggregateError` of `Promise.any()` where everything was.
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
