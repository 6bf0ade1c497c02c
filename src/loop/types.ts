/**
 * The parts of the public loop that lower layers may use. Types only: this file breaks the import cycle
 * between the loop and the tasks and transports that it creates.
 */
import type { Backend } from '../backend/backend.ts';
import type { Handle, TimerHandle } from './handle.ts';
import type { Ownership } from './ownership.ts';
import type { Scheduler } from './scheduler.ts';

/** The argument of {@link Loop.callExceptionHandler}. The caller may add fields. */
export interface ExceptionContext {
  /** A sentence that says what happened. */
  message: string;
  exception?: unknown;
  future?: unknown;
  task?: unknown;
  handle?: unknown;
  transport?: unknown;
  protocol?: unknown;
  /** The stack of the failed object's creation, in debug mode. */
  sourceTraceback?: string;
  [field: string]: unknown;
}

export interface Loop {
  time(): number;
  callSoon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle;
  callLater<A extends unknown[]>(
    delaySeconds: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle;
  callAt<A extends unknown[]>(when: number, callback: (...args: A) => unknown, ...args: A): TimerHandle;
  isRunning(): boolean;
  isClosed(): boolean;
  debug: boolean;
  callExceptionHandler(context: ExceptionContext): void;
  /** @internal */ readonly _scheduler: Scheduler;
  /** @internal */ readonly _owned: Ownership;
  /** @internal */ readonly _context: ContextEntry;
  /** @internal */ readonly _backend: Backend;
}

/** A task or an operation, as far as the loop's own layer knows it. */
export interface TaskLike {
  /** @internal */ readonly _loop: Loop;
  /** The name in reports. */
  readonly name: string;
  done(): boolean;
}

/** The entry of the async context: the loop, and the task if the code belongs to one. */
export interface ContextEntry {
  /** @internal */ readonly _loop: Loop;
  /** @internal */ readonly _task: TaskLike | null;
  /** The task, or the operation inside it, that runs the code. @internal */
  readonly _flow: TaskLike | null;
}
