/** A job of a pool on the caller's side, from `submit()` until its promise is settled. */
import type { MessagePort } from 'node:worker_threads';
import type { CancelledError } from '../base/errors.ts';
import { hostNow } from '../base/host.ts';
import type { Linked } from '../base/linked-list.ts';
import type { SpanMessage } from '../loop/channels.ts';
import { executorSpans } from '../loop/channels.ts';
import { onAbort } from '../tasks/abort-signal.ts';
import { restoreError } from './error-copy.ts';
import type { PackedArgs, ShippedFunction } from './job-messages.ts';
import { ERROR } from './job-messages.ts';
import type { PoolWorker } from './pool-worker.ts';
import type { ProgressCaller } from './progress-caller.ts';

/** It is in the pool's queue, or in the list of its worker. */
export class PoolJob implements Linked {
  /** Numbers the jobs of a pool in the order in which they were submitted. */
  readonly id: number;
  readonly fn: ShippedFunction;
  readonly args: PackedArgs;
  readonly promise: Promise<unknown>;
  /** Milliseconds, on the clock of the host. */
  readonly submittedAt: number = hostNow();
  /** null in the queue. */
  worker: PoolWorker | null = null;
  slot: number = 0;
  word: number = 0;
  _previous: Linked | null = null;
  _next: Linked | null = null;
  readonly #progress: ProgressCaller | null;
  readonly #onSettled: () => void;
  #settled: boolean = false;
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;
  #removeListener: () => void = nothing;

  /** @param onSettled called once, when the promise is settled */
  constructor(
    id: number,
    fn: ShippedFunction,
    args: PackedArgs,
    progress: ProgressCaller | null,
    onSettled: () => void,
  ) {
    this.id = id;
    this.fn = fn;
    this.args = args;
    this.#progress = progress;
    this.#onSettled = onSettled;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (executorSpans.watched) executorSpans.begin(this.#spanMessage());
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** The port with the arguments, which only one worker can get; null if the job can be sent again. */
  get port(): MessagePort | null {
    const { args } = this;
    return Array.isArray(args) || args instanceof Uint8Array ? null : (args as MessagePort);
  }

  /** Calls `onCancel(error)` if the signal aborts before the job is done. */
  listen(signal: AbortSignal | undefined, onCancel: (error: CancelledError) => void): void {
    this.#removeListener = onAbort(signal, onCancel);
  }

  progress(value: unknown): void {
    if (!this.#settled) this.#progress?.call(value);
  }

  /** The worker has answered. */
  end(kind: number, value: unknown): void {
    if (this.#settled) return;
    if (kind === ERROR) this.fail(restoreError(value as never));
    else this.#settle(this.#resolve, value, null);
  }

  /** Rejects the promise without an answer. */
  fail(error: unknown): void {
    this.#settle(this.#reject, error, error);
  }

  #spanMessage(): SpanMessage {
    return { subject: this, name: this.fn.name, loop: null };
  }

  #settle(how: (value: unknown) => void, value: unknown, error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    if (executorSpans.watched) executorSpans.finish(this.#spanMessage(), error, value);
    this.#removeListener();
    this.#onSettled();
    how(value);
  }
}

function nothing(): void {}
