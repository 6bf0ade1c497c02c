import { BrokenExecutorError, LoopError } from '../base/errors.ts';
import { checkBoolean, checkInteger, checkOptions, invalidArgType } from '../base/validate.ts';
import type { AnyFunction, Executor, ShutdownOptions } from '../executor/executor.ts';
import { referenceOf } from '../executor/function-reference.ts';
import { ProgressCaller } from '../executor/progress-caller.ts';
import { abortError } from '../tasks/abort-signal.ts';
import { DEFAULT_MAX_BYTES, encodeArgs } from './encoding.ts';
import { LocalJobs } from './local-jobs.ts';
import type { BullMQJobOptions, BullMQSubmitOptions, QueueOptions } from './options.ts';
import { checkJobOptions, checkQueueOptions, JOB_OPTIONS } from './options.ts';
import type { JobQueue } from './pending-job.ts';
import { RedisJobs } from './redis-jobs.ts';
import type { JobModules } from './reference.ts';
import { namedModules, nameOfModule, versionOf } from './reference.ts';

/** The options of {@link BullMQExecutor}. */
export interface BullMQExecutorOptions extends QueueOptions {
  /**
   * Modules by the names that the workers use for them. A module that is not listed has its file name as its
   * name.
   */
  modules?: JobModules;
  /** The most bytes of the arguments of a call. Default: 1 MiB. */
  maxBytes?: number;
}

/** The module of a function as its workers know it. */
interface KnownModule {
  readonly name: string;
  readonly version: string | null;
}

/**
 * Runs functions of modules on any machine where `npx gyre worker` runs, through a queue of BullMQ in Redis.
 * Without `connection` the same program runs on a process pool of its own.
 *
 * Arguments and results are copied as `structuredClone()` copies them. A job may run more than once, if a
 * worker or Redis dies while it runs, but its caller gets one result.
 *
 * `options`: `queue`, `connection`, `prefix`, `modules`, `maxBytes`.
 *
 * The packages `bullmq` and `ioredis` are loaded by the first job. Their connections keep the process alive
 * until `shutdown()`, or the end of an `await using` block.
 *
 * @example
 * ```ts
 * import { getRunningLoop, importFunctions, run } from 'gyre';
 * import { BullMQExecutor } from 'gyre/bullmq';
 *
 * const path = importFunctions<typeof import('node:path')>('node:path');
 *
 * // With `connection: process.env.REDIS_URL` the job runs where `npx gyre worker --queue paths node:path` runs.
 * await using executor = new BullMQExecutor({ queue: 'paths' });
 * await run(async () => {
 *   console.log(await getRunningLoop().runInExecutor(executor, path.basename, '/home/ada/notes.txt')); // notes.txt
 * });
 * ```
 */
export class BullMQExecutor implements Executor, AsyncDisposable {
  readonly #queue: JobQueue;
  readonly #maxBytes: number;
  /** By URL. */
  readonly #modules: Map<string, KnownModule> = new Map();
  #shutDown: boolean = false;
  #end: Promise<void> | null = null;

  constructor(options: BullMQExecutorOptions) {
    if (options === undefined) throw invalidArgType('options', options, 'an object with the name of a queue');
    checkOptions('options', options, ['queue', 'connection', 'prefix', 'modules', 'maxBytes']);
    checkQueueOptions(options);
    const { modules = [], maxBytes = DEFAULT_MAX_BYTES } = options;
    checkInteger('options.maxBytes', maxBytes, 1, 2 ** 29);
    for (const { url, name, version } of namedModules(modules).values()) {
      this.#modules.set(url, { name, version });
    }
    this.#maxBytes = maxBytes;
    this.#queue =
      options.connection === undefined
        ? new LocalJobs()
        : new RedisJobs(options, (url) => this.#moduleOf(url));
  }

  /**
   * Runs `fn(...args)` on a worker and returns its result.
   *
   * @param fn a function of `importFunctions()`: no code is sent, so its module must be on the workers
   * @param args its arguments, which are copied
   * @param options `signal`, `priority`, `delay`, `retries`, `backoff`, `timeout`, `key`, `otherVersion`,
   *   `onProgress`
   * @throws At the call: TypeError for another function, or for arguments that cannot be copied; RangeError
   *   (`ERR_OUT_OF_RANGE`) for arguments over `maxBytes`; {@link BrokenExecutorError} after `shutdown()`. As
   *   a rejection: the job's error, with class, `code`, `cause`, stack and a property `machine`;
   *   TimeoutError; {@link BrokenExecutorError} if Redis refuses the job, or if its worker was lost too
   *   often
   *
   * **Cancellation** The signal rejects the promise at once with a `CancelledError`. A queued job is
   * removed. The signal of a running job aborts within half a second, and after its grace period the pool of
   * the worker terminates it. If callers share a job by its key, the last one that leaves cancels it.
   */
  submit<F extends AnyFunction>(
    fn: F,
    args: Parameters<F>,
    options: BullMQSubmitOptions = {},
  ): Promise<Awaited<ReturnType<F>>> {
    checkOptions('options', options, [...JOB_OPTIONS, 'signal', 'transfer']);
    const plan = checkJobOptions(options);
    if (!Array.isArray(args)) throw invalidArgType('args', args, 'an array');
    const reference = referenceOf(fn);
    if (reference === null) {
      throw invalidArgType('fn', fn, 'a function of importFunctions(), because no code is sent to a worker');
    }
    if (this.#shutDown) {
      throw new BrokenExecutorError('this executor was shut down and accepts no more functions');
    }
    const { signal, onProgress } = options;
    if (signal?.aborted) return Promise.reject(abortError(signal));
    const encoded = encodeArgs(args, this.#maxBytes);
    if (this.#queue instanceof RedisJobs) this.#moduleOf(reference.module);
    const progress = onProgress === undefined ? null : new ProgressCaller(onProgress);
    const request = { fn, reference, args: args.slice(), encoded, plan, progress, signal };
    return this.#queue.submit(request) as Promise<Awaited<ReturnType<F>>>;
  }

  /**
   * Returns this executor with default options for each job. For callers that cannot pass options to
   * `submit()`: `loop.runInExecutor(executor.withOptions({ priority: 5 }), fn)`.
   *
   * @param options those of `submit()`, without `signal` and `transfer`
   */
  withOptions(options: BullMQJobOptions): Executor {
    checkOptions('options', options, JOB_OPTIONS);
    checkJobOptions(options);
    return {
      submit: (fn, args, own) => this.submit(fn, args, { ...options, ...own }),
      shutdown: (how) => this.shutdown(how),
    };
  }

  /**
   * Accepts no more jobs, waits for those that this executor has submitted, and closes its connections. The
   * workers go on.
   *
   * @param options `wait: false` returns at once; `cancelPending: true` rejects jobs that no worker has begun
   *   with a `CancelledError`
   */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    checkOptions('options', options, ['wait', 'cancelPending']);
    const { wait = true, cancelPending = false } = options;
    checkBoolean('options.wait', wait);
    checkBoolean('options.cancelPending', cancelPending);
    this.#shutDown = true;
    if (this.#end === null || cancelPending) this.#end = this.#queue.shutdown(cancelPending);
    if (wait) await this.#end;
  }

  /** Calls {@link shutdown} and waits for it, as in `await using executor = new BullMQExecutor(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #moduleOf(url: string): KnownModule {
    let known = this.#modules.get(url);
    if (known === undefined) {
      known = { name: nameOfModule(url), version: versionWith(url) };
      this.#modules.set(url, known);
    }
    return known;
  }
}

function versionWith(url: string): string | null {
  try {
    return versionOf(url);
  } catch (cause) {
    const message = `the file of the module ${url} cannot be read, so its version is unknown`;
    throw new LoopError('ERR_UNSUPPORTED', message, { cause });
  }
}
