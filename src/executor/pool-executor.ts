/**
 * What `ThreadPoolExecutor` and `ProcessPoolExecutor` have in common: the queue, and the workers that come
 * and go.
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
import type { AnyFunction, Executor, ShutdownOptions, SubmitOptions } from './executor.ts';
import { shipFunction } from './function-reference.ts';
import type { JobRequest, PackedArgs } from './job-messages.ts';
import { PoolJob } from './pool-job.ts';
import type { WorkerKind } from './pool-worker.ts';
import { PoolWorker } from './pool-worker.ts';
import { isShared, toBytes } from './process-bytes.ts';
import type { OnProgress } from './progress-caller.ts';
import { ProgressCaller } from './progress-caller.ts';
import { findUncloneable } from './uncloneable.ts';

export interface PoolOptions {
  /** Jobs that run at the same time. A worker is started when there is a job and none is idle. */
  maxWorkers?: number;
  /**
   * Seconds that a job which is cancelled while it runs may take to end by itself, before it is ended with
   * its worker. 0: none; Infinity: workers are never ended for that. Default: 0.5.
   */
  gracePeriod?: number;
}

/** What a pool's `submit()` takes besides a signal. */
export interface PoolSubmitOptions extends SubmitOptions {
  /**
   * Called with each value of the job's `currentJob().reportProgress(value)`, in order, and before the result
   * comes; in the async context of `submit()`. Submitted from the code of a loop, it is called as code of
   * that loop, and what it throws goes to the loop's exception handler; else it is an uncaught exception, as
   * that of any callback of the host.
   */
  onProgress?: OnProgress;
}

/** Seconds. */
const DEFAULT_GRACE_PERIOD = 0.5;

/** More threads or processes than any machine can use. */
const MOST_WORKERS = 4096;

/** An argument has to be … */
const COPYABLE = 'something that can be copied to a worker';
const NOT_SHARED =
  'memory that is not shared, as a process has its own: give it a copy, or use ThreadPoolExecutor';

/** A worker of the pool and the job that it runs. */
interface Place {
  readonly worker: PoolWorker;
  job: PoolJob | null;
}

/** A pool of workers: `ThreadPoolExecutor` and `ProcessPoolExecutor`. */
export abstract class PoolExecutor implements Executor, AsyncDisposable {
  /** How many jobs run at the same time. */
  readonly maxWorkers: number;
  readonly #kind: WorkerKind;
  readonly #gracePeriod: number;
  readonly #queue: Set<PoolJob> = new Set();
  readonly #idle: Place[] = [];
  /** Those that count: a worker that is being ended has given its place to another. */
  readonly #places: Set<Place> = new Set();
  /** All that the host has not yet reported as gone. */
  readonly #alive: Set<Place> = new Set();
  #nextId: number = 1;
  #shutDown: boolean = false;
  #dispatching: boolean = false;
  /** How many keep the process alive by this pool. */
  #holds: number = 0;
  /** Those who wait for the end of a shutdown. */
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
   * Runs `fn(...args)` in a worker, and answers what it returns or what it awaits. Jobs begin in the order in
   * which they were submitted.
   *
   * Arguments and results are copied as `structuredClone()` does, when `submit()` is called and when the job
   * ends; what is in `options.transfer` is handed over instead.
   *
   * @param fn a function of {@link importFunctions}, or one that uses nothing from outside: it crosses as
   *   source
   * @param args its arguments
   * @param options `signal`, `transfer`, `onProgress`
   * @throws TypeError for a function without a source of its own, for arguments that cannot be copied; {@link
   *   BrokenExecutorError} after `shutdown()`; LoopError `ERR_UNSUPPORTED` for a transfer to a process. As
   *   rejection: what the job throws, with class, `code`, `cause` and stack; {@link BrokenExecutorError} when
   *   its worker died
   *
   * **Cancellation** by the signal rejects at once with a `CancelledError`. A job that waits is never run.
   * One that runs is told (`currentJob().cancelled()`); after the pool's `gracePeriod` its worker is ended,
   * and the next job gets a new one.
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
      throw new BrokenExecutorError('this executor was shut down: it takes no more functions');
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
   * The same pool with options for each job, for those who cannot give them:
   * `loop.runInExecutor(pool.withOptions({ onProgress }), fn)`.
   *
   * @param options `transfer`, `onProgress`
   */
  withOptions(options: Omit<PoolSubmitOptions, 'signal'>): Executor {
    checkOptions('options', options, ['transfer', 'onProgress']);
    checkSubmitOptions(options);
    return {
      submit: (fn, args, given) => this.submit(fn, args, { ...options, ...given }),
      shutdown: (given) => this.shutdown(given),
    };
  }

  /**
   * Takes no more jobs. Those that wait or run are done, unless `cancelPending` says otherwise; then the
   * workers end.
   *
   * @param options `wait`: false answers at once, default is to wait for all of it; `cancelPending`: jobs
   *   that have not begun are rejected with a `CancelledError`
   */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    checkOptions('options', options, ['wait', 'cancelPending']);
    const { wait = true, cancelPending = false } = options;
    checkBoolean('options.wait', wait);
    checkBoolean('options.cancelPending', cancelPending);
    this.#shutDown = true;
    if (cancelPending) this.#cancelPending('the executor was shut down before this function had begun');
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

  /** {@link shutdown}, waiting for all: `await using pool = new ThreadPoolExecutor()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /** Ends everything at once. @internal */
  _kill(): void {
    this.#shutDown = true;
    this.#cancelPending('the executor was ended');
    for (const place of this.#alive) {
      this.#leave(place);
      place.job?.fail(new CancelledError('the executor was ended while this function ran'));
      if (place.job === null) place.worker.stop();
      else place.worker.kill();
    }
  }

  #pack(args: readonly unknown[], transfer: readonly unknown[]): PackedArgs {
    if (this.#kind === 'process') {
      if (transfer.length > 0) {
        throw new LoopError(
          'ERR_UNSUPPORTED',
          'nothing can be handed over to a process; ThreadPoolExecutor does it',
        );
      }
      return copying(args, toBytes, transfer, () => toBytes(args));
    }
    const { port1, port2 } = new MessageChannel();
    try {
      copying(args, structuredClone, transfer, () => port1.postMessage(args, transfer as TransferListItem[]));
      return port2;
    } finally {
      // What was sent stays in the other one. On Deno what was sent would go with it: there it stays open
      // until the worker has closed the other end.
      if (process.versions.deno === undefined) port1.close();
      else port1.unref();
    }
  }

  /**
   * Keeps the process alive until what it answers is called: somebody waits for this pool. Not for the code
   * of a running loop: that keeps the process alive itself, and only as long as it runs.
   */
  #hold(): () => void {
    if (runningLoopOrNull() !== null) return nothing;
    if (this.#holds++ === 0) for (const { worker } of this.#alive) worker.keepAlive(true);
    return () => {
      if (--this.#holds === 0) for (const { worker } of this.#alive) worker.keepAlive(false);
    };
  }

  #dispatch(): void {
    // A worker that cannot be started calls this at once.
    if (this.#dispatching) return;
    this.#dispatching = true;
    for (const job of this.#queue) {
      const place = this.#idle.pop() ?? this.#newPlace();
      if (place === null) break;
      this.#queue.delete(job);
      place.job = job;
      place.worker.run(job.request);
      // A new one does not, by itself.
      if (this.#holds > 0) place.worker.keepAlive(true);
    }
    this.#dispatching = false;
    if (this.#shutDown && this.#queue.size === 0) this.#stopIdle();
  }

  #newPlace(): Place | null {
    if (this.#places.size >= this.maxWorkers) return null;
    const place: Place = {
      worker: new PoolWorker(this.#kind, {
        onMessage: (message) => place.job?.message(message),
        onFree: () => this.#free(place),
        onExit: (error) => this.#gone(place, error),
      }),
      job: null,
    };
    this.#places.add(place);
    this.#alive.add(place);
    return place;
  }

  #free(place: Place): void {
    const job = place.job;
    place.job = null;
    // Ended meanwhile: its place is another's.
    if (this.#places.has(place)) this.#idle.push(place);
    job?.ended(new BrokenExecutorError(`the worker that ran ${job.request.fn.name} lost its result`));
    this.#dispatch();
  }

  #gone(place: Place, error: BrokenExecutorError): void {
    const { job } = place;
    place.job = null;
    this.#alive.delete(place);
    // No job can be told of it: what one has left behind failed, or somebody killed the worker.
    if (job === null && this.#places.has(place)) process.emitWarning(error);
    this.#leave(place);
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
    for (const place of this.#places) {
      if (place.job !== job) continue;
      if (this.#gracePeriod > 0) place.worker.cancel(job.request.id);
      afterSeconds(this.#gracePeriod, () => this.#end(place, job));
    }
  }

  /**
   * The job is still running: its worker goes, and another may take its place now, even if the host needs a
   * while to end it.
   */
  #end(place: Place, job: PoolJob): void {
    if (place.job !== job) return;
    this.#leave(place);
    place.worker.kill();
    this.#dispatch();
  }

  #leave(place: Place): void {
    this.#places.delete(place);
    const at = this.#idle.indexOf(place);
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
    for (const place of [...this.#idle]) {
      this.#leave(place);
      place.worker.stop();
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

/** Does `pack`; the host, when it fails, only says that something could not be copied. */
function copying<T>(
  args: readonly unknown[],
  copy: (value: unknown) => unknown,
  transfer: readonly unknown[],
  pack: () => T,
): T {
  try {
    return pack();
  } catch (cause) {
    const found = findUncloneable(args, 'args', copy, transfer);
    const error =
      found === null
        ? invalidArgType('options.transfer', transfer, 'a list of what can be handed over, each once')
        : invalidArgType(found.path, found.value, isShared(found.value) ? NOT_SHARED : COPYABLE);
    throw Object.assign(error, { cause });
  }
}
