/**
 * Every error class of gyre and its code. `code` is what programs test; messages are for people.
 */

/** Codes of {@link LoopError}. */
export type LoopErrorCode =
  | 'ERR_LOOP_CLOSED'
  | 'ERR_LOOP_RUNNING'
  | 'ERR_LOOP_STOPPED'
  | 'ERR_NO_RUNNING_LOOP'
  | 'ERR_NO_EVENT_LOOP'
  | 'ERR_SIGNAL_SETUP'
  | 'ERR_TRANSPORT_CLOSED'
  | 'ERR_UNSUPPORTED';

/**
 * A loop, or something that belongs to it, was used in a state that does not allow it.
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
  /** What is wrong, for programs. */
  readonly code: LoopErrorCode;

  constructor(code: LoopErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The wait was cancelled: thrown at the `await` at which a task stands when `task.cancel()` is called.
 *
 * Let it pass after cleaning up; a task that swallows it goes on. When an `AbortSignal` was the reason,
 * `cause` is `signal.reason`.
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

/** A future or task is not in the state that the call needs: a result that is not there yet, or set twice. */
export class InvalidStateError extends Error {
  override readonly name: string = 'InvalidStateError';
  readonly code = 'ERR_INVALID_STATE';
}

/**
 * No system call sends this file to this socket, and reading and sending it piece by piece was not allowed.
 */
export class SendfileNotAvailableError extends Error {
  override readonly name: string = 'SendfileNotAvailableError';
  readonly code = 'ERR_SENDFILE_NOT_AVAILABLE';
}

/** The stream ended before the number of bytes (or the separator) asked for had come. */
export class IncompleteReadError extends Error {
  override readonly name: string = 'IncompleteReadError';
  readonly code = 'ERR_INCOMPLETE_READ';
  /** What had been read when the stream ended. */
  readonly partial: Buffer;
  /** Bytes asked for, or `null` when the end of a line or record was asked for. */
  readonly expected: number | null;

  constructor(partial: Buffer, expected: number | null, options?: ErrorOptions) {
    const wanted = expected === null ? 'the separator' : `${expected} bytes`;
    super(`the stream ended after ${partial.length} bytes, before ${wanted}`, options);
    this.partial = partial;
    this.expected = expected;
  }
}

/** No separator was found within the reader's limit. The data stays in the reader. */
export class LimitOverrunError extends Error {
  override readonly name: string = 'LimitOverrunError';
  readonly code = 'ERR_LIMIT_OVERRUN';
  /** Bytes in the buffer that are known to hold no separator. */
  readonly consumed: number;

  constructor(message: string, consumed: number, options?: ErrorOptions) {
    super(message, options);
    this.consumed = consumed;
  }
}

/** `getNowait()` on a queue that has no item. */
export class QueueEmpty extends Error {
  override readonly name: string = 'QueueEmpty';
  readonly code = 'ERR_QUEUE_EMPTY';
}

/** `putNowait()` on a queue that has no free slot. */
export class QueueFull extends Error {
  override readonly name: string = 'QueueFull';
  readonly code = 'ERR_QUEUE_FULL';
}

/** The queue was shut down: nothing more can be put, and nothing more will come. */
export class QueueShutDown extends Error {
  override readonly name: string = 'QueueShutDown';
  readonly code = 'ERR_QUEUE_SHUT_DOWN';
}

/** A barrier was reset or aborted while, or before, the task waited at it. */
export class BrokenBarrierError extends Error {
  override readonly name: string = 'BrokenBarrierError';
  readonly code = 'ERR_BROKEN_BARRIER';
}

/** The worker that ran the function died, or its executor cannot run anything any more. */
export class BrokenExecutorError extends Error {
  override readonly name: string = 'BrokenExecutorError';
  readonly code = 'ERR_BROKEN_EXECUTOR';
}
