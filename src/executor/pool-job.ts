/** A job of a pool on the caller's side, from `submit()` until its promise is settled. */
import type { CancelledError } from '../base/errors.ts';
import { onAbort } from '../tasks/abort-signal.ts';
import { restoreError } from './error-copy.ts';
import type { JobMessage, JobRequest } from './job-messages.ts';
import type { ProgressCaller } from './progress-caller.ts';

export class PoolJob {
  readonly request: JobRequest;
  readonly promise: Promise<unknown>;
  readonly #progress: ProgressCaller | null;
  readonly #onSettled: () => void;
  /** The last message of the worker. */
  #outcome: Exclude<JobMessage, { kind: 'progress' }> | null = null;
  #settled: boolean = false;
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;
  #removeListener: () => void = nothing;

  /** @param onSettled called once, when the promise is settled */
  constructor(request: JobRequest, progress: ProgressCaller | null, onSettled: () => void) {
    this.request = request;
    this.#progress = progress;
    this.#onSettled = onSettled;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Calls `onCancel(error)` if the signal aborts before the job is done. */
  listen(signal: AbortSignal | undefined, onCancel: (error: CancelledError) => void): void {
    this.#removeListener = onAbort(signal, onCancel);
  }

  message(message: JobMessage): void {
    if (this.#settled) return;
    if (message.kind === 'progress') this.#progress?.call(message.value);
    else this.#outcome ??= message;
  }

  /** Rejects the promise without waiting for the worker. */
  fail(error: unknown): void {
    this.#settle(this.#reject, error);
  }

  /**
   * Settles the promise when the worker is free or gone. Not earlier, so that a caller that submits the next
   * job right after this one gets the same worker.
   */
  ended(orElse: Error): void {
    const outcome = this.#outcome;
    if (outcome?.kind === 'result') this.#settle(this.#resolve, outcome.value);
    else this.#settle(this.#reject, outcome === null ? orElse : restoreError(outcome.error));
  }

  /** Sets the cancel flag. A job with shared memory sees it even while it computes. */
  raiseFlag(): void {
    if (this.request.flag !== null) Atomics.store(this.request.flag, 0, 1);
  }

  /** Closes the port of the arguments, because no worker will read it. */
  dropArgs(): void {
    const { args } = this.request;
    if (!(args instanceof Uint8Array)) args.close();
  }

  #settle(how: (value: unknown) => void, value: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#removeListener();
    this.#onSettled();
    how(value);
  }
}

function nothing(): void {}
