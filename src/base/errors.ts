/** Every error class of gyre and its code. Programs test `code`; messages are for people. */

/** Codes of {@link LoopError}. */
export type LoopErrorCode =
  | 'ERR_LOOP_CLOSED'
  | 'ERR_LOOP_RUNNING'
  | 'ERR_LOOP_STOPPED'
  | 'ERR_NO_RUNNING_LOOP'
  | 'ERR_NO_EVENT_LOOP'
  | 'ERR_SIGNAL_SETUP'
  | 'ERR_TRANSPORT_CLOSED'
  | 'ERR_UNSUPPORTED'
  | 'ERR_WORKER_FAILED';

/**
 * A loop, or an object that belongs to it, was used in a state that does not allow the call.
 *
 * @example
 * ```ts
 * import { LoopError, newEventLoop } from 'gyre';
 *
 * const loop = newEventLoop();
 * loop.close();
 * try {
 *   loop.callSoon(() => {});
 * } catch (error) {
 *   console.log(error instanceof LoopError && error.code); // ERR_LOOP_CLOSED
 * }
 * ```
 */
export class LoopError extends Error {
  override readonly name: string = 'LoopError';
  /** The kind of error, for programs. */
  readonly code: LoopErrorCode;

  constructor(code: LoopErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The wait was cancelled. `task.cancel()` makes the task's current `await` throw it.
 *
 * Rethrow it after cleaning up; a task that catches it and does not rethrow it continues. If an `AbortSignal`
 * was the reason, `cause` is `signal.reason`.
 */
export class CancelledError extends Error {
  override readonly name: string = 'CancelledError';
  readonly code = 'ERR_CANCELLED';
}

/** A deadline passed before the operation was done. */
export class TimeoutError extends Error {
  override readonly name: string = 'TimeoutError';
  readonly code = 'ERR_TIMEOUT';
}

/**
 * A future or task is in the wrong state for the call. For example, it has no result yet, or it already has
 * one.
 */
export class InvalidStateError extends Error {
  override readonly name: string = 'InvalidStateError';
  readonly code = 'ERR_INVALID_STATE';
}

/**
 * There is no system call that sends this file to this socket, and `fallback: false` forbids to read and send
 * it piece by piece.
 */
export class SendfileNotAvailableError extends Error {
  override readonly name: string = 'SendfileNotAvailableError';
  readonly code = 'ERR_SENDFILE_NOT_AVAILABLE';
}

/** The stream ended before the requested number of bytes, or the separator, was received. */
export class IncompleteReadError extends Error {
  override readonly name: string = 'IncompleteReadError';
  readonly code = 'ERR_INCOMPLETE_READ';
  /** The data that was read before the stream ended. */
  readonly partial: Buffer;
  /** The number of bytes requested, or null if the call waited for a separator. */
  readonly expected: number | null;

  constructor(partial: Buffer, expected: number | null, options?: ErrorOptions) {
    const wanted = expected === null ? 'the separator' : `${expected} bytes`;
    super(`the stream ended after ${partial.length} bytes, before ${wanted}`, options);
    this.partial = partial;
    this.expected = expected;
  }
}

/** The reader found no separator within its limit. The data stays in the reader. */
export class LimitOverrunError extends Error {
  override readonly name: string = 'LimitOverrunError';
  readonly code = 'ERR_LIMIT_OVERRUN';
  /** The number of bytes in the buffer that contain no separator. */
  readonly consumed: number;

  constructor(message: string, consumed: number, options?: ErrorOptions) {
    super(message, options);
    this.consumed = consumed;
  }
}

/** `getNowait()` was called on an empty queue. */
export class QueueEmpty extends Error {
  override readonly name: string = 'QueueEmpty';
  readonly code = 'ERR_QUEUE_EMPTY';
}

/** `putNowait()` was called on a full queue. */
export class QueueFull extends Error {
  override readonly name: string = 'QueueFull';
  readonly code = 'ERR_QUEUE_FULL';
}

/** The queue was shut down: no item can be put, and no more items will come. */
export class QueueShutDown extends Error {
  override readonly name: string = 'QueueShutDown';
  readonly code = 'ERR_QUEUE_SHUT_DOWN';
}

/** The barrier was reset or aborted before or during the wait. */
export class BrokenBarrierError extends Error {
  override readonly name: string = 'BrokenBarrierError';
  readonly code = 'ERR_BROKEN_BARRIER';
}

/** The worker that ran the function died, or its executor was shut down or is broken. */
export class BrokenExecutorError extends Error {
  override readonly name: string = 'BrokenExecutorError';
  readonly code = 'ERR_BROKEN_EXECUTOR';
}
