import type { Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { CancelledError, LoopError } from '../base/errors.ts';
import { checkFunction, checkInteger, checkOptions, invalidArgType } from '../base/validate.ts';
import { importFunctions } from '../executor/function-reference.ts';
import type { PoolExecutor } from '../executor/pool-executor.ts';
import { ProcessPoolExecutor } from '../executor/process-pool.ts';
import { ThreadPoolExecutor } from '../executor/thread-pool.ts';
import type { BullMQ } from './connection.ts';
import {
  baseOptions,
  CANCEL,
  clientOf,
  DUE,
  disconnect,
  isRefusal,
  loadBullMQ,
  ownKey,
  RedisClock,
  refused,
} from './connection.ts';
import type { JobData } from './encoding.ts';
import { DEFAULT_MAX_BYTES, decode, encode, encodeResult } from './encoding.ts';
import { ERROR_FIELD, encodeError, reasonOf } from './errors.ts';
import type { QueueOptions } from './options.ts';
import { checkDuration, checkQueueOptions } from './options.ts';
import { afterMilliseconds, timedOut } from './pending-job.ts';
import type { JobModule, JobModules } from './reference.ts';
import { namedModules } from './reference.ts';

/** The options of {@link BullMQWorker}. */
export interface BullMQWorkerOptions extends QueueOptions {
  connection: NonNullable<QueueOptions['connection']>;
  /** The modules whose functions the worker runs, and no others. */
  modules: JobModules;
  /** The number of jobs that run at the same time. Default: the number of processors. */
  maxWorkers?: number;
  /** Where the jobs run: in processes or in threads. Default: `process`. */
  kind?: 'process' | 'thread';
  /** Seconds for which a cancelled job may continue before its process or thread is ended. Default: 0.5. */
  gracePeriod?: number;
  /**
   * Seconds after which the jobs of a worker that has died are given to others. The worker renews its locks
   * in half of this time. Default: 30.
   */
  lockDuration?: number;
  /** How often a job may lose its worker before it fails. Default: 10. */
  maxStalls?: number;
  /** The most bytes of a result. Default: 1 MiB. */
  maxBytes?: number;
  /** Called with messages for people: another version of a module, a lost connection. Default: none. */
  onMessage?: (text: string) => void;
}

const OPTIONS: readonly string[] = [
  'queue',
  'connection',
  'prefix',
  'modules',
  'maxWorkers',
  'kind',
  'gracePeriod',
  'lockDuration',
  'maxStalls',
  'maxBytes',
  'onMessage',
];

/** Milliseconds between two looks for cancels and for delayed jobs. */
const LOOK_EVERY = 250;

/** The number of delayed jobs that are started at one look. */
const MOST_DUE = 100;

/** Milliseconds for which a worker tries to start a job that is due. */
const DUE_HOLDS = 5000;

/** Milliseconds for which a job of another version waits: twice as long at each look of a worker, up to: */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 5000;

/** Milliseconds before the time of a delayed job at which it may start. Clocks are not more exact. */
const EARLY = 5;

/** The field of a job with the time before which its retry may not start. */
const NOT_BEFORE_FIELD = 'gyre:notBefore';

interface Opened {
  readonly bullmq: BullMQ;
  readonly worker: Worker<JobData, string>;
  readonly client: Redis;
  readonly clock: RedisClock;
}

/**
 * Runs the jobs of a {@link BullMQExecutor}'s queue, in a pool of its own. So this process goes on renewing
 * its locks while a job computes. `npx gyre worker` is this class as a program.
 *
 * `options`: `queue`, `connection`, `modules`, `prefix`, `maxWorkers`, `kind`, `gracePeriod`, `lockDuration`,
 * `maxStalls`, `maxBytes`, `onMessage`.
 *
 * @example
 * ```ts no-run
 * import { BullMQWorker } from 'gyre/bullmq';
 *
 * await using worker = new BullMQWorker({
 *   queue: 'images',
 *   connection: 'redis://localhost',
 *   modules: [new URL('./jobs.js', import.meta.url)],
 * });
 * await worker.ready();
 * ```
 */
export class BullMQWorker implements AsyncDisposable {
  readonly #options: BullMQWorkerOptions;
  readonly #modules: ReadonlyMap<string, JobModule>;
  readonly #pool: PoolExecutor;
  readonly #maxBytes: number;
  readonly #running: Map<string, AbortController> = new Map();
  readonly #told: Set<string> = new Set();
  readonly #opening: Promise<Opened>;
  #worker: Worker<JobData, string> | null = null;
  #stopLooking: () => void = () => {};
  #refuse!: (error: Error) => void;
  #connected: boolean = false;
  #closed: boolean = false;

  /** Connects, and begins to take jobs. */
  constructor(options: BullMQWorkerOptions) {
    checkOptions('options', options, OPTIONS);
    checkQueueOptions(options);
    const { connection, modules, kind = 'process', maxWorkers, gracePeriod } = options;
    const { lockDuration = 30, maxStalls = 10, maxBytes = DEFAULT_MAX_BYTES, onMessage } = options;
    if (connection === undefined)
      throw invalidArgType('options.connection', connection, 'the address of a Redis');
    if (kind !== 'process' && kind !== 'thread') {
      throw invalidArgType('options.kind', kind, "'process' or 'thread'");
    }
    checkDuration('options.lockDuration', lockDuration, 86_400);
    checkInteger('options.maxStalls', maxStalls, 0, 1_000_000);
    checkInteger('options.maxBytes', maxBytes, 1, 2 ** 29);
    if (onMessage !== undefined) checkFunction('options.onMessage', onMessage);
    this.#options = options;
    this.#maxBytes = maxBytes;
    this.#modules = namedModules(modules);
    const Pool = kind === 'process' ? ProcessPoolExecutor : ThreadPoolExecutor;
    this.#pool = new Pool({
      ...(maxWorkers !== undefined && { maxWorkers }),
      ...(gracePeriod !== undefined && { gracePeriod }),
    });
    this.#opening = new Promise((resolve, reject) => {
      this.#refuse = reject;
      this.#open(lockDuration * 1000, maxStalls).then(resolve, reject);
    });
    this.#opening.catch(() => {});
  }

  /**
   * Waits until the worker takes jobs.
   *
   * @throws LoopError `ERR_UNSUPPORTED` without the package `bullmq`; BrokenExecutorError if Redis refuses
   *   the connection: no password, or an old version. A Redis that cannot be reached is tried again
   */
  async ready(): Promise<void> {
    await this.#opening;
  }

  /**
   * Takes no more jobs, and waits for those that run.
   *
   * @param options `wait: false` cancels the running jobs. Other workers take them after `lockDuration`
   */
  async close({ wait = true }: { wait?: boolean } = {}): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#refuse(new CancelledError('the worker was closed'));
    if (worker !== null) {
      if (wait && this.#connected) await worker.close();
      else {
        void worker.close(true).catch(() => {});
        await disconnect(worker);
      }
    }
    this.#stopLooking();
    for (const controller of this.#running.values())
      controller.abort(new CancelledError('the worker was closed'));
    await this.#pool.shutdown({ cancelPending: true });
  }

  /** Calls {@link close} and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- the connection ---

  async #open(lockDuration: number, maxStalledCount: number): Promise<Opened> {
    const bullmq = await loadBullMQ();
    if (this.#closed) throw new CancelledError('the worker was closed');
    // BullMQ looks at the number of parameters: with a third one it would pass a signal.
    const process = (job: Job<JobData, string>, token?: string): Promise<string> => this.#process(job, token);
    const worker: Worker<JobData, string> = new bullmq.Worker(this.#options.queue, process, {
      ...baseOptions(this.#options),
      autorun: false,
      concurrency: this.#pool.maxWorkers,
      lockDuration,
      stalledInterval: lockDuration,
      maxStalledCount,
      runRetryDelay: 500,
      // Seconds of one wait for a job: a marker that got lost costs no more.
      drainDelay: 1,
    });
    this.#worker = worker;
    worker.on('error', (error) => this.#onError(error));
    worker.on('lockRenewalFailed', (ids) => {
      const error = new CancelledError('the worker has lost the lock of the job, so another one may run it');
      for (const id of ids) this.#running.get(id)?.abort(error);
    });
    const client = await clientOf(worker);
    await worker.waitUntilReady();
    this.#connected = true;
    worker.run().catch((error: unknown) => this.#say(`the worker has stopped: ${reasonOf(error)}`));
    this.#lookLater();
    return { bullmq, worker, client, clock: new RedisClock(client) };
  }

  #onError(error: Error): void {
    if (isRefusal(error)) this.#refuse(refused(error));
    if (!this.#closed) this.#say(error.message || String((error as { code?: unknown }).code ?? error));
  }

  #say(text: string): void {
    this.#options.onMessage?.(text);
  }

  // --- cancels and delays ---

  #lookLater(): void {
    this.#stopLooking = afterMilliseconds(LOOK_EVERY, () => {
      // A connection that was lost is opened again.
      this.#look().then(
        () => this.#lookLater(),
        () => this.#lookLater(),
      );
    });
  }

  async #look(): Promise<void> {
    if (this.#closed && this.#running.size === 0) return;
    await Promise.all([this.#lookForCancels(), this.#lookForDue()]);
  }

  async #lookForCancels(): Promise<void> {
    const ids = [...this.#running.keys()];
    if (ids.length === 0) return;
    const { client, worker } = await this.#opening;
    const found = await client.mget(ids.map((id) => ownKey(worker.toKey, CANCEL + id)));
    for (const [i, value] of found.entries()) {
      if (value !== null)
        this.#running.get(ids[i] as string)?.abort(new CancelledError('the job was cancelled'));
    }
  }

  /** BullMQ compares the times of delayed jobs with the clock of a worker, which may be wrong. */
  async #lookForDue(): Promise<void> {
    const { client, worker, clock } = await this.#opening;
    const key = ownKey(worker.toKey, DUE);
    const now = await clock.now();
    const due = await client.zrangebyscore(key, '-inf', now, 'WITHSCORES', 'LIMIT', 0, MOST_DUE);
    for (let i = 0; i < due.length; i += 2) {
      const id = due[i] as string;
      const started = await worker.getBackend().promote(id).then(yes, no);
      // A job that is not delayed has started already, or a worker is about to delay it.
      if (started || Number(due[i + 1]) < now - DUE_HOLDS) await client.zrem(key, id);
    }
  }

  // --- the way of a job ---

  async #process(job: Job<JobData, string>, token: string | undefined): Promise<string> {
    const opened = await this.#opening;
    const { data } = job;
    const now = await opened.clock.now();
    const id = job.id as string;
    const notBefore = await this.#notBefore(opened, job);
    if (notBefore - EARLY > now) return await this.#postpone(opened, job, token, notBefore - now);
    const { deadline = Number.POSITIVE_INFINITY, timeout = Number.POSITIVE_INFINITY } = data;
    if (deadline <= now) return await this.#fail(opened, job, timedOut(timeout), true);
    const problem = this.#problemWith(data);
    if (problem !== null) return await this.#refuseJob(opened, job, token, problem);
    const controller = new AbortController();
    this.#running.set(id, controller);
    const stopTimer = afterMilliseconds(deadline - now, () => controller.abort(timedOut(timeout)));
    try {
      return await this.#call(job, controller.signal);
    } catch (thrown) {
      const { aborted, reason } = controller.signal;
      return await this.#fail(opened, job, aborted ? reason : thrown, aborted);
    } finally {
      stopTimer();
      this.#running.delete(id);
    }
  }

  async #call(job: Job<JobData, string>, signal: AbortSignal): Promise<string> {
    const { module, name, args } = job.data;
    const { url } = this.#modules.get(module) as JobModule;
    const fn = importFunctions<Record<string, (...args: unknown[]) => unknown>>(url)[name];
    let reported: Promise<unknown> = Promise.resolve();
    const onProgress = (value: unknown): void => {
      // Progress is lost with its connection; the result is not.
      reported = job.updateProgress(encode(value)).catch(() => {});
    };
    const value = await this.#pool.submit(fn as never, decode(args) as never, { signal, onProgress });
    await reported;
    return encodeResult(value, name, this.#maxBytes);
  }

  async #fail(
    { bullmq, worker, client, clock }: Opened,
    job: Job<JobData, string>,
    thrown: unknown,
    final: boolean,
  ): Promise<never> {
    const fields: Record<string, string> = { [ERROR_FIELD]: encodeError(thrown) };
    const attempts = job.opts.attempts ?? 1;
    if (!final && job.data.backoff > 0 && job.attemptsMade + 1 < attempts) {
      const time = (await clock.now()) + job.data.backoff * 1000 * 2 ** job.attemptsMade;
      fields[NOT_BEFORE_FIELD] = String(time);
      await client.zadd(ownKey(worker.toKey, DUE), time, job.id as string);
    }
    await client.hset(worker.toKey(job.id as string), fields);
    const reason = reasonOf(thrown);
    throw final ? new bullmq.UnrecoverableError(reason) : new Error(reason);
  }

  /** Returns the time before which the job may not start, on the clock of Redis. */
  async #notBefore({ worker, client }: Opened, job: Job<JobData, string>): Promise<number> {
    if (job.attemptsMade === 0 || job.data.backoff === 0) return job.data.notBefore ?? 0;
    return Number(await client.hget(worker.toKey(job.id as string), NOT_BEFORE_FIELD));
  }

  /** Gives a job back for a time. It then has the state of a delayed job. */
  async #postpone(
    { bullmq, worker, client, clock }: Opened,
    job: Job<JobData, string>,
    token: string | undefined,
    milliseconds: number,
  ): Promise<never> {
    const id = job.id as string;
    await client.zadd(ownKey(worker.toKey, DUE), (await clock.now()) + milliseconds, id);
    // The time on the clock of this worker: it must not take the job again at once.
    const own = job.processedOn as number;
    await worker.getBackend().moveToDelayed(id, own, Math.ceil(milliseconds), token, { skipAttempt: true });
    throw new bullmq.DelayedError();
  }

  // --- versions ---

  /** Returns the reason why this worker cannot run the job. */
  #problemWith({ module, version }: JobData): string | null {
    const own = this.#modules.get(module);
    if (own === undefined)
      return `the worker has no module ${module}: it has ${[...this.#modules.keys()].join(', ')}`;
    if (own.version === version) return null;
    return `the worker has another version of ${module}: ${own.version}, and the job needs ${version}`;
  }

  async #refuseJob(
    opened: Opened,
    job: Job<JobData, string>,
    token: string | undefined,
    problem: string,
  ): Promise<never> {
    if (!this.#told.has(problem)) {
      this.#told.add(problem);
      this.#say(problem);
    }
    if (job.data.otherVersion === 'fail') {
      return await this.#fail(opened, job, new LoopError('ERR_UNSUPPORTED', problem), true);
    }
    const wait = Math.min(FIRST_WAIT * 2 ** Math.min(job.attemptsStarted, 10), LONGEST_WAIT);
    return await this.#postpone(opened, job, token, wait);
  }
}

function yes(): boolean {
  return true;
}

function no(): boolean {
  return false;
}
