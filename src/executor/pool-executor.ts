/**
 * The common part of `ThreadPoolExecutor` and `ProcessPoolExecutor`: the queue, and the start and end of
 * workers.
 */
import { BrokenExecutorError, CancelledError } from '../base/errors.ts';
import { hostNow } from '../base/host.ts';
import { LinkedList } from '../base/linked-list.ts';
import { counted, showInOneLine } from '../base/one-line.ts';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkSignal,
  invalidArgType,
  outOfRange,
} from '../base/validate.ts';
import { openChannels } from '../loop/channels.ts';
import { runningLoopOrNull } from '../loop/context.ts';
import { node } from '../platform/node-modules.ts';
import { abortError } from '../tasks/abort-signal.ts';
import { afterSeconds, LONGEST_SECONDS } from './after-seconds.ts';
import type { AnyFunction, Executor, ShutdownOptions, SubmitOptions } from './executor.ts';
import { shipFunction } from './function-reference.ts';
import type { Answer } from './job-messages.ts';
import { BACK } from './job-messages.ts';
import { packArgs } from './packed-args.ts';
import { PoolJob } from './pool-job.ts';
import type { WorkerKind } from './pool-worker.ts';
import { PoolWorker } from './pool-worker.ts';
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

/** After so many answers of others, a worker that has not answered gives up the jobs that it has ahead. */
const ANSWERS_OF_OTHERS = 64;

/**
 * Seconds for which a process may give back its other jobs before the pool terminates it, and then for its
 * last answers to arrive. A process reads its messages before each job. So if it begins another job all the
 * same, the answer to the cancelled one has arrived by then.
 */
const SECONDS_TO_GIVE_BACK = 0.005;
const SECONDS_TO_ANSWER = 0.001;

/** The pools of this thread that have workers. */
export const livePools: Set<PoolExecutor> = new Set();

/** A pool and its jobs in a snapshot (inspect/snapshot.ts). */
export interface PoolFacts {
  readonly kind: 'thread' | 'process';
  readonly workers: number;
  readonly maxWorkers: number;
  /** The jobs that run, each with its function and the seconds since `submit()`. */
  readonly running: readonly { readonly fn: string; readonly seconds: number }[];
  /** The jobs that have not begun, also those that a worker has ahead. */
  readonly queued: number;
  readonly shutDown: boolean;
}

/** A pool of workers: `ThreadPoolExecutor` and `ProcessPoolExecutor`. */
export abstract class PoolExecutor implements Executor, AsyncDisposable {
  /** The number of jobs that run at the same time. */
  readonly maxWorkers: number;
  readonly #kind: WorkerKind;
  readonly #gracePeriod: number;
  readonly #queue: LinkedList<PoolJob> = new LinkedList();
  /** The workers that count for `maxWorkers`. A worker that is being terminated does not count. */
  readonly #workers: Set<PoolWorker> = new Set();
  /** The workers without a job. */
  readonly #idle: PoolWorker[] = [];
  /** The busy workers that may get one more job. */
  readonly #withRoom: LinkedList<PoolWorker> = new LinkedList();
  /** The workers whose exit the host has not reported yet. */
  readonly #alive: Set<PoolWorker> = new Set();
  /** The number of jobs that workers have. */
  #sent: number = 0;
  #answers: number = 0;
  #nextId: number = 1;
  #shutDown: boolean = false;
  /** Why jobs that have not begun are dropped; null: they are still done. */
  #dropping: string | null = null;
  #dispatching: boolean = false;
  /** The number of callers for which this pool keeps the process alive. */
  #holds: number = 0;
  /** Callers that wait for the end of a shutdown. */
  #waiting: (() => void)[] = [];

  /** @internal */
  constructor(kind: WorkerKind, options: PoolOptions, defaultWorkers: number) {
    checkOptions('options', options, ['maxWorkers', 'gracePeriod']);
    openChannels(() => node.diagnostics_channel);
    const { maxWorkers = defaultWorkers, gracePeriod = DEFAULT_GRACE_PERIOD } = options;
    checkInteger('options.maxWorkers', maxWorkers, 1, MOST_WORKERS);
    checkGracePeriod(gracePeriod);
    this.#kind = kind;
    this.maxWorkers = maxWorkers;
    this.#gracePeriod = gracePeriod;
  }

  /**
   * Runs `fn(...args)` in a worker and returns its result; a promise that it returns is awaited. Jobs start
   * in the order in which they were submitted. While jobs are short (half a millisecond), each busy worker
   * has some of the next jobs ahead, and starts these in their order.
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
    const packed = packArgs(this.#kind, args, transfer);
    const progress = onProgress === undefined ? null : new ProgressCaller(onProgress);
    const job = new PoolJob(this.#nextId++, shipped, packed, progress, this.#hold());
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
    if (cancelPending) this.#dropPending('the executor was shut down before this function had started');
    this.#dispatch();
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
    this.#dropPending('the executor was ended');
    for (const worker of this.#alive) {
      this.#leave(worker);
      if (worker.jobs.size === 0) worker.stop();
      else worker.kill();
      for (const job of worker.jobs) {
        job.fail(new CancelledError('the executor was ended while this function ran'));
      }
    }
  }

  /** @internal */
  _facts(): string {
    const running = this.#workers.size - this.#idle.length;
    const queued = this.#queue.size + Math.max(0, this.#sent - running);
    const workers = `${this.#workers.size} of ${counted(this.maxWorkers, 'worker')}`;
    return `${workers}, ${running} running, ${queued} queued${this.#shutDown ? ', shut down' : ''}`;
  }

  /** @internal */
  _poolFacts(): PoolFacts {
    const running = Array.from(this.#workers, ({ jobs }) => jobs.first).filter((job) => job !== null);
    const now = hostNow();
    return {
      kind: this.#kind,
      workers: this.#workers.size,
      maxWorkers: this.maxWorkers,
      running: running.map(({ fn, submittedAt }) => ({ fn: fn.name, seconds: (now - submittedAt) / 1000 })),
      queued: this.#queue.size + Math.max(0, this.#sent - running.length),
      shutDown: this.#shutDown,
    };
  }

  /**
   * Keeps the process alive until the returned function is called, because a caller waits for this pool. For
   * code of a running loop it does not: the loop keeps the process alive while it runs. But virtual time must
   * not move meanwhile.
   */
  #hold(): () => void {
    const loop = runningLoopOrNull();
    if (loop !== null) return loop._backend.executors?.hold?.() ?? nothing;
    if (this.#holds++ === 0) for (const worker of this.#alive) worker.keepAlive(true);
    return () => {
      if (--this.#holds === 0) for (const worker of this.#alive) worker.keepAlive(false);
    };
  }

  // --- the way of a job ---

  #dispatch(): void {
    // If a worker cannot be started, its callback calls this method from within the loop below.
    if (this.#dispatching) return;
    this.#dispatching = true;
    do {
      for (let job = this.#queue.first; job !== null; job = this.#queue.first) {
        const worker = this.#idle.pop() ?? this.#newWorker() ?? this.#workerWithRoom(job);
        if (worker === null) break;
        this.#queue.delete(job);
        this.#sent++;
        worker.run(job);
        this.#place(worker);
      }
    } while (this.#takeBackForIdle());
    this.#dispatching = false;
    if (this.#shutDown && this.#queue.size === 0 && !this.#hasAhead()) this.#stopIdle();
  }

  #newWorker(): PoolWorker | null {
    if (this.#workers.size >= this.maxWorkers) return null;
    const worker = new PoolWorker(this.#kind, {
      isKeptAlive: () => this.#holds > 0,
      onEnded: (job, answer) => this.#onEnded(worker, job, answer),
      onRead: () => this.#dispatch(),
      onExit: (error) => this.#onExit(worker, error),
    });
    this.#workers.add(worker);
    this.#alive.add(worker);
    livePools.add(this);
    return worker;
  }

  /** Returns a busy worker that may have the job ahead. The workers take turns. */
  #workerWithRoom(job: PoolJob): PoolWorker | null {
    // Only one worker can get a port, so the pool could not take this job back.
    if (job.port !== null) return null;
    const worker = this.#withRoom.first;
    if (worker !== null) this.#withRoom.delete(worker);
    return worker;
  }

  /** Files a worker by its number of jobs, which has changed. */
  #place(worker: PoolWorker): void {
    if (!this.#workers.has(worker)) return;
    if (worker.jobs.size === 0) this.#idle.push(worker);
    if (worker.jobs.size > 0 && worker.hasRoom) this.#withRoom.add(worker);
    else this.#withRoom.delete(worker);
  }

  /** Returns true if a worker has more than the job that it runs. */
  #hasAhead(): boolean {
    return this.#sent > this.#workers.size - this.#idle.length;
  }

  /** If a worker is idle while another has jobs ahead, takes half of these. Returns true if it got some. */
  #takeBackForIdle(): boolean {
    if (this.#idle.length === 0 || this.#queue.size > 0 || !this.#hasAhead()) return false;
    let busiest: PoolWorker | null = null;
    for (const worker of this.#workers) {
      if (worker.jobs.size > (busiest?.jobs.size ?? 1)) busiest = worker;
    }
    if (busiest !== null) this.#takeBack(busiest, Math.ceil((busiest.jobs.size - 1) / 2));
    return this.#queue.size > 0;
  }

  /** Takes jobs that have not begun back into the queue. A process gives them back later. */
  #takeBack(worker: PoolWorker, most: number): void {
    if (worker.jobs.size === 0) return;
    for (const job of worker.takeBackOldest(most)) this.#requeue(job);
    this.#place(worker);
  }

  /** Puts a job that has not begun back to its place in the queue. */
  #requeue(job: PoolJob): void {
    this.#sent--;
    if (job.settled) return;
    if (this.#dropping === null) this.#queue.addBefore(job, ({ id }) => id > job.id);
    else job.fail(new CancelledError(this.#dropping));
  }

  #onEnded(worker: PoolWorker, job: PoolJob, [, kind, value]: Answer): void {
    this.#place(worker);
    if (kind === BACK) {
      this.#requeue(job);
    } else {
      this.#sent--;
      job.end(kind, value);
      if (++this.#answers % ANSWERS_OF_OTHERS === 0) this.#takeBackFromQuiet();
    }
    // A process may have begun a cancelled job before it got the cancel.
    const next = worker.jobs.first;
    if (next?.settled) this.#endLater(worker, next, SECONDS_TO_GIVE_BACK);
  }

  /** Takes back the jobs that wait behind a long one while other workers go on. */
  #takeBackFromQuiet(): void {
    for (const worker of this.#workers) {
      if (worker.quiet && worker.jobs.size > 1) this.#takeBack(worker, worker.jobs.size);
      worker.quiet = true;
    }
  }

  #onExit(worker: PoolWorker, error: BrokenExecutorError): void {
    // If no job can get this error, code that an earlier job left running has failed, or the worker was
    // killed from outside.
    let unheard = this.#workers.has(worker);
    this.#alive.delete(worker);
    if (this.#alive.size === 0) livePools.delete(this);
    this.#leave(worker);
    const unbegun = new Set(worker.unbegun());
    for (const job of worker.jobs) {
      worker.jobs.delete(job);
      job.worker = null;
      if (unbegun.has(job)) {
        this.#requeue(job);
      } else {
        this.#sent--;
        unheard = false;
        job.port?.close();
        job.fail(error);
      }
    }
    if (unheard) process.emitWarning(error);
    this.#dispatch();
    if (this.#alive.size > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  // --- the end of a job before its time ---

  #cancel(job: PoolJob, error: CancelledError): void {
    job.fail(error);
    const { worker } = job;
    if (worker === null) {
      if (this.#queue.delete(job)) job.port?.close();
    } else if (worker.takeBack(job)) {
      this.#sent--;
      this.#place(worker);
    } else if (worker.runs(job)) {
      if (this.#gracePeriod > 0) worker.cancel(job);
      this.#endLater(worker, job, 0);
    } else {
      worker.cancel(job);
    }
    this.#dispatch();
  }

  /**
   * Terminates the worker of a cancelled job after the grace period, if it still runs the job.
   *
   * @param least the seconds that the worker has in any case
   */
  #endLater(worker: PoolWorker, job: PoolJob, least: number): void {
    if (worker.jobs.size > 1) this.#takeBack(worker, worker.jobs.size);
    const end = (): void => this.#end(worker, job);
    // A process has not given its other jobs back yet.
    const all = worker.jobs.size === 1;
    const seconds = Math.max(this.#gracePeriod, all ? least : SECONDS_TO_GIVE_BACK);
    afterSeconds(seconds, all ? end : () => afterSeconds(SECONDS_TO_ANSWER, end));
  }

  /** Another worker may take its place now, even if the host needs some time to terminate it. */
  #end(worker: PoolWorker, job: PoolJob): void {
    if (!worker.runs(job)) return;
    this.#leave(worker);
    worker.kill();
    this.#dispatch();
  }

  #leave(worker: PoolWorker): void {
    this.#workers.delete(worker);
    this.#withRoom.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Drops the jobs that have not begun. */
  #dropPending(why: string): void {
    this.#dropping = why;
    for (const worker of this.#workers) this.#takeBack(worker, worker.jobs.size);
    for (const job of this.#queue) {
      this.#queue.delete(job);
      job.port?.close();
      job.fail(new CancelledError(why));
    }
  }

  #stopIdle(): void {
    for (const worker of [...this.#idle]) {
      this.#leave(worker);
      worker.stop();
    }
  }
}

showInOneLine(PoolExecutor);

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
