/**
 * The default executor of a loop with virtual time: functions run in this thread, after the virtual time that
 * they take. Arguments, results and errors are copied as in a thread pool, and a function sees no more of its
 * surroundings than there.
 */
import type { InThreadJobs, RawRequest } from '../backend/backend.ts';
import { BrokenExecutorError, CancelledError } from '../base/errors.ts';
import { describeValue, invalidArgType } from '../base/validate.ts';
import { abortError, onAbort } from '../tasks/abort-signal.ts';
import { copying } from './copying.ts';
import type { Job } from './current-job.ts';
import { setCurrentJob } from './current-job.ts';
import { copyError, restoreError } from './error-copy.ts';
import type { AnyFunction, Executor, ShutdownOptions, SubmitOptions } from './executor.ts';
import { shipFunction } from './function-reference.ts';
import { explainSourceError, functionOfSource } from './function-source.ts';
import { exportedFunction, importModule } from './imported-function.ts';
import type { ShippedFunction } from './job-messages.ts';
import { findUncloneable } from './uncloneable.ts';

export class InThreadExecutor implements Executor {
  readonly #jobs: InThreadJobs;
  readonly #queue: Set<InThreadJob> = new Set();
  readonly #running: Set<InThreadJob> = new Set();
  #shutDown: boolean = false;
  #onIdle: (() => void)[] = [];

  constructor(jobs: InThreadJobs) {
    this.#jobs = jobs;
  }

  submit<F extends AnyFunction>(
    fn: F,
    args: Parameters<F>,
    { signal, transfer = [] }: SubmitOptions = {},
  ): Promise<Awaited<ReturnType<F>>> {
    if (!Array.isArray(args)) throw invalidArgType('args', args, 'an array');
    const shipped = shipFunction(fn);
    if (this.#shutDown) {
      throw new BrokenExecutorError('this executor was shut down and accepts no more functions');
    }
    if (signal?.aborted) return Promise.reject(abortError(signal));
    const copy = copying(args, structuredClone, transfer, () =>
      structuredClone(args, { transfer: transfer as never[] }),
    );
    const job = new InThreadJob(shipped, copy);
    job.removeListener = onAbort(signal, (error) => this.#cancel(job, error));
    this.#queue.add(job);
    this.#dispatch();
    return job.promise as Promise<Awaited<ReturnType<F>>>;
  }

  async shutdown({ wait = true, cancelPending = false }: ShutdownOptions = {}): Promise<void> {
    this.#shutDown = true;
    if (cancelPending) {
      const error = new CancelledError('the executor was shut down before this function had started');
      for (const job of [...this.#queue]) this.#cancel(job, error);
    }
    if (!wait || this.#queue.size + this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve);
    });
  }

  #dispatch(): void {
    for (const job of this.#queue) {
      if (this.#running.size >= this.#jobs.workers) return;
      this.#queue.delete(job);
      this.#running.add(job);
      job.scheduled = this.#jobs.schedule(() => void this.#run(job));
    }
    if (this.#running.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  async #run(job: InThreadJob): Promise<void> {
    // The function may wait for something real, such as the import of its module.
    const release = this.#jobs.hold();
    try {
      await job.run();
    } finally {
      release();
      this.#ended(job);
    }
  }

  /** A function that has begun goes on, and its result is dropped. */
  #cancel(job: InThreadJob, error: CancelledError): void {
    job.abort(error);
    this.#queue.delete(job);
    if (job.begun) return;
    job.scheduled?.cancel();
    this.#ended(job);
  }

  #ended(job: InThreadJob): void {
    this.#running.delete(job);
    this.#dispatch();
  }
}

class InThreadJob implements Job {
  readonly promise: Promise<unknown>;
  scheduled: RawRequest | null = null;
  begun: boolean = false;
  removeListener: () => void = () => {};
  readonly #fn: ShippedFunction;
  readonly #args: unknown[];
  readonly #controller: AbortController = new AbortController();
  #handedOver: { value: unknown; list: readonly unknown[] } | null = null;
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;

  constructor(fn: ShippedFunction, args: unknown[]) {
    this.#fn = fn;
    this.#args = args;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  // --- for the function ---

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cancelled(): boolean {
    return this.signal.aborted;
  }

  /** The default executor has no `onProgress`. */
  reportProgress(value: unknown, transfer: readonly unknown[] = []): void {
    this.#copied(value, transfer, 'the value');
  }

  transfer<T>(value: T, list: readonly unknown[]): T {
    this.#handedOver = { value, list };
    return value;
  }

  // --- for the executor ---

  async run(): Promise<void> {
    this.begun = true;
    try {
      const value = await this.#call();
      const list = this.#handedOver?.value === value ? (this.#handedOver?.list ?? []) : [];
      this.#resolve(this.#copied(value, list, 'the result'));
    } catch (error) {
      const thrown = 'source' in this.#fn ? explainSourceError(error, this.#fn.name) : error;
      this.#reject(restoreError(structuredClone(copyError(thrown))));
    } finally {
      this.removeListener();
    }
  }

  /** Rejects the promise. */
  abort(error: CancelledError): void {
    this.removeListener();
    this.#reject(error);
    this.#controller.abort(new CancelledError('the job was cancelled'));
  }

  async #call(): Promise<unknown> {
    const fn = await functionOf(this.#fn);
    setCurrentJob(this);
    try {
      return fn(...this.#args);
    } finally {
      setCurrentJob(null);
    }
  }

  #copied(value: unknown, transfer: readonly unknown[], subject: string): unknown {
    try {
      return structuredClone(value, { transfer: transfer as never[] });
    } catch (cause) {
      const found = findUncloneable(value, 'it', structuredClone, transfer);
      const part = found === null ? '' : `: ${found.path} is ${describeValue(found.value)}`;
      const text = `${subject} of ${this.#fn.name} cannot be copied out of its worker${part}`;
      throw Object.assign(new TypeError(text, { cause }), { code: 'ERR_INVALID_RETURN_VALUE' });
    }
  }
}

async function functionOf(fn: ShippedFunction): Promise<AnyFunction> {
  if ('source' in fn) return functionOfSource(fn.source, fn.name);
  return exportedFunction(await importModule(fn.module), fn.module, fn.name);
}
