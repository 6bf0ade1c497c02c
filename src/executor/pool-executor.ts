/**
 * The common part of `ThreadPoolExecutor` and `ProcessPoolExecutor`: the queue, and the start and end of
 * workers.
 */
import type { TransferListItem } from 'node:worker_threads';
import { MessageChannel } from 'node:worker_threads';
import { BrokenExecutorError, CancelledError, LoopError } from '../base/errors.ts';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import { runningLoopOrNull } from '../loop/context.ts';
import { abortError } from '../tasks/abort-signal.ts';
import { afterSeconds, LONGEST_SECONDS } from './after-seconds.ts';
import { copying } from './copying.ts';
import type { AnyFunction, Executor, ShutdownOptions, SubmitOptions } from './executor.ts';
import { shipFunction } from './function-reference.ts';
import type { JobRequest, PackedArgs } from './job-messages.ts';
import { PoolJob } from './pool-job.ts';
import type { WorkerKind } from './pool-worker.ts';
import { PoolWorker } from './pool-worker.ts';
import { toBytes } from './process-bytes.ts';
import type { OnProgress } from './progress-caller.ts';
import { ProgressCaller } from './progress-caller.ts';

export interface PoolOptions {
  /**
   * The number of jobs that run at the same time. A worker is started when a job waits and no worker is idle.
   */
  maxWorkers?: number;
  /**
   * Seconds for which a running job may continue after a cancel. Then the pool terminates its worker. 0: no
   * time; Infinity: the pool never terminates a worker for a cancel. Default: 0.5.
   */
  gracePeriod?: number;
}

/** The options of a pool's `submit()`. */
export interface PoolSubmitOptions extends SubmitOptions {
  /**
   * Called with each value of the job's `currentJob().reportProgress(value)`, in order, before the result
   * arrives, and in the async context of `submit()`. If code of a loop submitted the job, it is called as
   * code of that loop, and its exceptions go to the loop's exception handler. Otherwise an exception is an
   * uncaught exception, as in any callback of the host.
   */
  onProgress?: OnProgress;
}

/** In seconds. See {@link PoolOptions}. */
const DEFAULT_GRACE_PERIOD = 0.5;

/** More threads or processes than any machine can use. */
const MOST_WORKERS = 4096;

/** A worker of the pool and the job that it runs. */
interface WorkerSlot {
  readonly worker: PoolWorker;
  job: PoolJob | null;
}

/** A pool of workers: `ThreadPoolExecutor` and `ProcessPoolExecutor`. */
export abstract class PoolExecutor implements Executor, AsyncDisposable {
  /** The number of jobs that run at the same time. */
  readonly maxWorkers: number;
  readonly #kind: WorkerKind;
  readonly #gracePeriod: number;
  readonly #queue: Set<PoolJob> = new Set();
  readonly #idle: WorkerSlot[] = [];
  /** The workers that count for `maxWorkers`. A worker that is being terminated does not count. */
  readonly #slots: Set<WorkerSlot> = new Set();
  /** The workers whose exit the host has not reported yet. */
  readonly #alive: Set<WorkerSlot> = new Set();
  #nextId: number = 1;
  #shutDown: boolean = false;
  #dispatching: boolean = false;
  /** The number of callers for which this pool keeps the process alive. */
  #holds: number = 0;
  /** Callers that wait for the end of a shutdown. */
  #waiting: (() => void)[] = [];

  /** @internal */
  constructor(kind: WorkerKind, options: PoolOptions, defaultWorkers: number) {
    checkOptions('options', options, ['maxWorkers', 'gracePeriod']);
    const { maxWorkers = defaultWorkers, gracePeriod = DEFAULT_GRACE_PERIOD } = options;
    checkInteger('options.maxWorkers', maxWorkers, 1, MOST_WORKERS);
    checkGracePeriod(gracePeriod);
    this.#kind = kind;
    this.maxWorkers = maxWorkers;
    this.#gracePeriod = gracePeriod;
  }

  /**
   * Runs `fn(...args)` in a worker and returns its result; a promise that it returns is awaited. Jobs start
   * in the order in which they were submitted.
   *
   * Arguments are copied with `structuredClone()` when `submit()` is called, and the result is copied when
   * the job ends. Objects in `options.transfer` are transferred, not copied.
   *
   * @param fn a function of {@link importFunctions}, or a function that uses no variables from outside and is
   *   passed as source
   * @param args its arguments
   * @param options `signal`, `transfer`, `onProgress`
   * @throws At the call: TypeError for a function without source, or for arguments that cannot be copied;
   *   {@link BrokenExecutorError} after `shutdown()`; LoopError `ERR_UNSUPPORTED` for a transfer to a
   *   process. As a rejection: the job's exception, with class, `code`, `cause` and stack;
   *   {@link BrokenExecutorError} if its worker died
   *
   * **Cancellation** The signal rejects the promise at once with a `CancelledError`. A job that has not
   * started never runs. A running job can see the cancel (`currentJob().cancelled()`); after the pool's
   * `gracePeriod` the pool terminates its worker, and the next job gets a new worker.
   */
  submit<F extends AnyFunction>(
    fn: F,
    args: Parameters<F>,
    options: PoolSubmitOptions = {},
  ): Promise<Awaited<ReturnType<F>>> {
    checkSubmitOptions(options);
    if (!Array.isArray(args)) throw invalidArgType('args', args, 'an array');
    const shipped = shipFunction(fn);
    if (this.#shutDown) {
      throw new BrokenExecutorError('this executor was shut down and accepts no more functions');
    }
    const { signal, transfer = [], onProgress } = options;
    if (signal?.aborted) return Promise.reject(abortError(signal));
    const request: JobRequest = {
      id: this.#nextId++,
      fn: shipped,
      args: this.#pack(args, transfer),
      flag: this.#kind === 'thread' ? new Int32Array(new SharedArrayBuffer(4)) : null,
    };
    const progress = onProgress === undefined ? null : new ProgressCaller(onProgress);
    const job = new PoolJob(request, progress, this.#hold());
    job.listen(signal, (error) => this.#cancel(job, error));
    this.#queue.add(job);
    this.#dispatch();
    return job.promise as Promise<Awaited<ReturnType<F>>>;
  }

  /**
   * Returns this pool with default options for each job. For callers that cannot pass options to `submit()`:
   * `loop.runInExecutor(pool.withOptions({ onProgress }), fn)`.
   *
   * @param options `transfer`, `onProgress`
   */
  withOptions(options: Omit<PoolSubmitOptions, 'signal'>): Executor {
    checkOptions('options', options, ['transfer', 'onProgress']);
    checkSubmitOptions(options);
    return {
      submit: (fn, args, own) => this.submit(fn, args, { ...options, ...own }),
      shutdown: (how) => this.shutdown(how),
    };
  }

  /**
   * Accepts no more jobs. Waiting and running jobs are still done, unless `cancelPending` is true; then the
   * workers end.
   *
   * @param options `wait: false` returns at once; by default the promise waits for all jobs and workers.
   *   `cancelPending: true` rejects jobs that have not started with a `CancelledError`
   */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    checkOptions('options', options, ['wait', 'cancelPending']);
    const { wait = true, cancelPending = false } = options;
    checkBoolean('options.wait', wait);
    checkBoolean('options.cancelPending', cancelPending);
    this.#shutDown = true;
    if (cancelPending) this.#cancelPending('the executor was shut down before this function had started');
    if (this.#queue.size === 0) this.#stopIdle();
    if (!wait || this.#alive.size === 0) return Promise.resolve();
    const release = this.#hold();
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        release();
        resolve();
      });
    });
  }

  /** Calls {@link shutdown} and waits for it, as in `await using pool = new ThreadPoolExecutor()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /** Terminates everything at once. @internal */
  _kill(): void {
    this.#shutDown = true;
    this.#cancelPending('the executor was ended');
    for (const slot of this.#alive) {
      this.#leave(slot);
      slot.job?.fail(new CancelledError('the executor was ended while this function ran'));
      if (slot.job === null) slot.worker.stop();
      else slot.worker.kill();
    }
  }

  #pack(args: readonly unknown[], transfer: readonly unknown[]): PackedArgs {
    if (this.#kind === 'process') {
      if (transfer.length > 0) {
        throw new LoopError(
          'ERR_UNSUPPORTED',
          'a process cannot receive transferred objects: use ThreadPoolExecutor',
        );
      }
      return copying(args, toBytes, transfer, () => toBytes(args));
    }
    const { port1, port2 } = new MessageChannel();
    try {
      copying(args, structuredClone, transfer, () => port1.postMessage(args, transfer as TransferListItem[]));
      return port2;
    } finally {
      // The message stays in the queue of the other port. On Deno it would be lost with this port, so there
      // the port stays open until the worker has closed the other end.
      if (process.versions.deno === undefined) port1.close();
      else port1.unref();
    }
  }

  /**
   * Keeps the process alive until the returned function is called, because a caller waits for this pool. For
   * code of a running loop it does not: the loop keeps the process alive while it runs. But virtual time must
   * not move meanwhile.
   */
  #hold(): () => void {
    const loop = runningLoopOrNull();
    if (loop !== null) return loop._backend.executors?.hold?.() ?? nothing;
    if (this.#holds++ === 0) for (const { worker } of this.#alive) worker.keepAlive(true);
    return () => {
      if (--this.#holds === 0) for (const { worker } of this.#alive) worker.keepAlive(false);
    };
  }

  #dispatch(): void {
    // If a worker cannot be started, its callback calls this method from within the loop below.
    if (this.#dispatching) return;
    this.#dispatching = true;
    for (const job of this.#queue) {
      const slot = this.#idle.pop() ?? this.#newSlot();
      if (slot === null) break;
      this.#queue.delete(job);
      slot.job = job;
      slot.worker.run(job.request);
      // A new worker does not keep the process alive by itself.
      if (this.#holds > 0) slot.worker.keepAlive(true);
    }
    this.#dispatching = false;
    if (this.#shutDown && this.#queue.size === 0) this.#stopIdle();
  }

  #newSlot(): WorkerSlot | null {
    if (this.#slots.size >= this.maxWorkers) return null;
    const slot: WorkerSlot = {
      worker: new PoolWorker(this.#kind, {
        onMessage: (message) => slot.job?.message(message),
        onFree: () => this.#free(slot),
        onExit: (error) => this.#gone(slot, error),
      }),
      job: null,
    };
    this.#slots.add(slot);
    this.#alive.add(slot);
    return slot;
  }

  #free(slot: WorkerSlot): void {
    const job = slot.job;
    slot.job = null;
    // If the worker was terminated meanwhile, another worker has its place.
    if (this.#slots.has(slot)) this.#idle.push(slot);
    job?.ended(new BrokenExecutorError(`the worker that ran ${job.request.fn.name} lost its result`));
    this.#dispatch();
  }

  #gone(slot: WorkerSlot, error: BrokenExecutorError): void {
    const { job } = slot;
    slot.job = null;
    this.#alive.delete(slot);
    // No job can get this error: code that an earlier job left running has failed, or the worker was killed
    // from outside.
    if (job === null && this.#slots.has(slot)) process.emitWarning(error);
    this.#leave(slot);
    job?.ended(error);
    this.#dispatch();
    if (this.#alive.size > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #cancel(job: PoolJob, error: CancelledError): void {
    job.fail(error);
    if (this.#queue.delete(job)) {
      job.dropArgs();
      if (this.#shutDown && this.#queue.size === 0) this.#stopIdle();
      return;
    }
    job.raiseFlag();
    for (const slot of this.#slots) {
      if (slot.job !== job) continue;
      if (this.#gracePeriod > 0) slot.worker.cancel(job.request.id);
      afterSeconds(this.#gracePeriod, () => this.#end(slot, job));
    }
  }

  /**
   * Terminates the worker of a job that is still running. Another worker may take its place now, even if the
   * host needs some time to terminate it.
   */
  #end(slot: WorkerSlot, job: PoolJob): void {
    if (slot.job !== job) return;
    this.#leave(slot);
    slot.worker.kill();
    this.#dispatch();
  }

  #leave(slot: WorkerSlot): void {
    this.#slots.delete(slot);
    const at = this.#idle.indexOf(slot);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #cancelPending(why: string): void {
    for (const job of this.#queue) {
      this.#queue.delete(job);
      job.dropArgs();
      job.fail(new CancelledError(why));
    }
  }

  #stopIdle(): void {
    for (const slot of [...this.#idle]) {
      this.#leave(slot);
      slot.worker.stop();
    }
  }
}

function nothing(): void {}

function checkSubmitOptions(options: unknown): void {
  checkOptions('options', options, ['signal', 'transfer', 'onProgress']);
  const { signal, transfer, onProgress } = options as PoolSubmitOptions;
  checkSignal('options.signal', signal);
  if (transfer !== undefined && !Array.isArray(transfer)) {
    throw invalidArgType('options.transfer', transfer, 'an array');
  }
  if (onProgress !== undefined) checkFunction('options.onProgress', onProgress);
}

function checkGracePeriod(value: unknown): void {
  const accepted = `a number of seconds from 0 to ${LONGEST_SECONDS}, or Infinity`;
  if (typeof value !== 'number') throw invalidArgType('options.gracePeriod', value, accepted);
  const inRange = (value >= 0 && value <= LONGEST_SECONDS) || value === Number.POSITIVE_INFINITY;
  if (!inRange) throw outOfRange('options.gracePeriod', value, accepted);
}
