/** A call on the caller's side, from `submit()` until its promise is settled. */
import type { CancelledError } from '../base/errors.ts';
import { TimeoutError } from '../base/errors.ts';
import { hostClearTimeout, hostSetTimeout } from '../base/host.ts';
import type { FunctionReference } from '../executor/function-reference.ts';
import type { ProgressCaller } from '../executor/progress-caller.ts';
import { onAbort } from '../tasks/abort-signal.ts';
import type { JobPlan } from './options.ts';

/** Milliseconds. The host's timers overflow beyond it. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A call as `submit()` has checked it. */
export interface JobRequest {
  readonly fn: (...args: never[]) => unknown;
  readonly reference: FunctionReference;
  readonly args: readonly unknown[];
  /** The arguments as they are stored in Redis. */
  readonly encoded: string;
  readonly plan: JobPlan;
  readonly progress: ProgressCaller | null;
  readonly signal: AbortSignal | undefined;
}

/** A queue of jobs: in Redis, or in this process. */
export interface JobQueue {
  submit(request: JobRequest): Promise<unknown>;
  shutdown(cancelPending: boolean): Promise<void>;
}

export class PendingJob {
  readonly request: JobRequest;
  readonly promise: Promise<unknown>;
  settled: boolean = false;
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;
  #removeListener: () => void = () => {};
  #stopTimer: () => void = () => {};

  constructor(request: JobRequest) {
    this.request = request;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Calls `leave` if the signal aborts or the deadline passes, after it has rejected the promise. */
  listen(leave: (error: CancelledError | TimeoutError) => void): void {
    const end = (error: CancelledError | TimeoutError): void => {
      this.fail(error);
      leave(error);
    };
    const { signal, plan } = this.request;
    this.#stopTimer = afterMilliseconds(plan.timeout * 1000, () => end(timedOut(plan.timeout)));
    this.#removeListener = onAbort(signal, end);
  }

  progress(value: unknown): void {
    if (!this.settled) this.request.progress?.call(value);
  }

  succeed(value: unknown): void {
    this.#settle(this.#resolve, value);
  }

  fail(error: unknown): void {
    this.#settle(this.#reject, error);
  }

  #settle(how: (value: unknown) => void, value: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#removeListener();
    this.#stopTimer();
    how(value);
  }
}

export function timedOut(seconds: number): TimeoutError {
  return new TimeoutError(`the job was not done within ${seconds} s`);
}

/** Calls `callback` after any time (Infinity: never), and returns a function that cancels the call. */
export function afterMilliseconds(time: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    const part = Math.min(left, LONGEST_TIMER);
    timer = hostSetTimeout(() => (left > part ? wait(left - part) : callback()), part);
  };
  if (time === Number.POSITIVE_INFINITY) return () => {};
  wait(Math.max(0, time));
  return () => hostClearTimeout(timer);
}
