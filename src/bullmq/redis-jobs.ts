/**
 * The jobs of an executor in Redis. BullMQ's events tell when a job ends. An event may be lost, because Redis
 * keeps the last 10,000 only, and a job may be lost with Redis. So each job that waits for long is looked up.
 */
import type { Job, JobsOptions, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { BrokenExecutorError, CancelledError } from '../base/errors.ts';
import { node } from '../platform/node-modules.ts';
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
import { decode } from './encoding.ts';
import { decodeError, ERROR_FIELD } from './errors.ts';
import type { QueueOptions } from './options.ts';
import type { JobQueue, JobRequest } from './pending-job.ts';
import { afterMilliseconds, PendingJob } from './pending-job.ts';

/** Milliseconds between two looks at the jobs that are pending. */
const LOOK_EVERY = 2000;

/** The number of jobs that are looked up in one message. */
const LOOK_AT = 500;

/** Seconds for which Redis keeps a job that has ended, for callers that were disconnected meanwhile. */
const KEEP = { age: 3600 };

/** Seconds for which a cancel stays in Redis. */
const CANCEL_HOLDS = 86_400;

interface Opened {
  readonly queue: Queue<JobData>;
  readonly client: Redis;
  readonly clock: RedisClock;
}

/** A job in Redis, and its callers: several if they have passed the same key. */
interface Entry {
  readonly id: string;
  readonly callers: Set<PendingJob>;
  /** This program has added the job, so this program may cancel it. */
  owned: boolean;
  added: boolean;
  /** It has been pending since the last look. */
  old: boolean;
}

/** Returns the version of a module, which the caller has computed once. */
export type VersionOf = (url: string) => { readonly name: string; readonly version: string | null };

export class RedisJobs implements JobQueue {
  readonly #options: QueueOptions;
  readonly #versionOf: VersionOf;
  readonly #entries: Map<string, Entry> = new Map();
  /** The entry of each pending call. */
  readonly #homes: WeakMap<PendingJob, Entry> = new WeakMap();
  readonly #withdrawals: Set<Promise<void>> = new Set();
  /** The queue, and its events. */
  readonly #connections: (Queue<JobData> | QueueEvents)[] = [];
  #opening: Promise<Opened> | null = null;
  #stopLooking: (() => void) | null = null;
  #closed: boolean = false;

  constructor(options: QueueOptions, versionOf: VersionOf) {
    this.#options = options;
    this.#versionOf = versionOf;
  }

  submit(request: JobRequest): Promise<unknown> {
    const job = new PendingJob(request);
    job.listen(() => this.#leave(job));
    this.#begin(job);
    this.#stopLooking ??= this.#lookLater();
    return job.promise;
  }

  async shutdown(cancelPending: boolean): Promise<void> {
    if (cancelPending) await this.#cancelQueued();
    await Promise.allSettled(Array.from(this.#callers(), ({ promise }) => promise));
    await Promise.all(this.#withdrawals);
    if (this.#closed) return;
    this.#closed = true;
    this.#stopLooking?.();
    await Promise.all(this.#connections.map(disconnect));
  }

  *#callers(): Generator<PendingJob> {
    for (const { callers } of this.#entries.values()) yield* callers;
  }

  // --- the connection ---

  #open(): Promise<Opened> {
    this.#opening ??= this.#connect().catch((error: unknown) => {
      this.#opening = null;
      void Promise.all(this.#connections.splice(0).map(disconnect));
      throw error;
    });
    return this.#opening;
  }

  async #connect(): Promise<Opened> {
    const { Queue, QueueEvents } = await loadBullMQ();
    if (this.#closed) throw new CancelledError('the executor was shut down');
    const base = baseOptions(this.#options);
    const queue: Queue<JobData> = new Queue(this.#options.queue, base);
    this.#connections.push(queue);
    const onError = (error: Error): void => this.#onError(error);
    queue.on('error', onError);
    const client = await clientOf(queue);
    // Without an id the stream begins at the time of the first read, which may be after the first result.
    const last = await client.xrevrange(queue.toKey('events'), '+', '-', 'COUNT', 1);
    const lastEventId = last[0]?.[0] ?? '0-0';
    const events = new QueueEvents(this.#options.queue, { ...base, lastEventId });
    this.#connections.push(events);
    events.on('error', onError);
    this.#listen(events);
    return { queue, client, clock: new RedisClock(client) };
  }

  /** A lost connection is opened again. A refused one is told to all that wait for it. */
  #onError(error: Error): void {
    if (!isRefusal(error)) return;
    for (const entry of this.#entries.values()) if (!entry.added) this.#end(entry, refused(error));
  }

  #listen(events: QueueEvents): void {
    events.on('completed', ({ jobId, returnvalue }) => this.#succeed(jobId, returnvalue));
    events.on('failed', ({ jobId }) => {
      const entry = this.#entries.get(jobId);
      if (entry !== undefined) void this.#look([entry]);
    });
    events.on('progress', ({ jobId, data }) => {
      const entry = this.#entries.get(jobId);
      if (entry === undefined) return;
      const value = decode(data);
      for (const job of entry.callers) job.progress(value);
    });
  }

  // --- the way of a job ---

  #begin(job: PendingJob): void {
    const entry = {
      id: node.crypto.randomUUID(),
      callers: new Set<PendingJob>(),
      owned: true,
      added: false,
      old: false,
    };
    this.#entries.set(entry.id, entry);
    this.#house(job, entry);
    void this.#add(entry, job);
  }

  #house(job: PendingJob, entry: Entry): void {
    entry.callers.add(job);
    this.#homes.set(job, entry);
  }

  async #add(entry: Entry, job: PendingJob): Promise<void> {
    try {
      const opened = await this.#open();
      if (job.settled) return;
      const added = await this.#addTo(opened, entry.id, job.request);
      entry.added = true;
      if (entry.callers.size === 0) this.#withdraw(entry.id);
      else if (added.id !== entry.id) await this.#join(entry, added.id as string);
    } catch (error) {
      this.#end(entry, refused(error));
    }
  }

  async #addTo({ queue, client, clock }: Opened, id: string, request: JobRequest): Promise<Job> {
    const { reference, encoded, plan } = request;
    const { name, version } = this.#versionOf(reference.module);
    const { delay, retries, backoff, timeout, key, priority, otherVersion } = plan;
    const timed = delay > 0 || timeout !== Number.POSITIVE_INFINITY;
    const now = timed ? await clock.now() : 0;
    const data: JobData = {
      module: name,
      name: reference.name,
      version,
      args: encoded,
      otherVersion,
      backoff,
      ...(delay > 0 && { notBefore: now + delay * 1000 }),
      ...(timeout !== Number.POSITIVE_INFINITY && { deadline: now + timeout * 1000, timeout }),
    };
    const options: JobsOptions = {
      jobId: id,
      removeOnComplete: KEEP,
      removeOnFail: KEEP,
      ...(priority > 0 && { priority }),
      ...(retries > 0 && { attempts: retries + 1 }),
      ...(backoff > 0 && { backoff: { type: 'exponential', delay: backoff * 1000 } }),
      ...(key !== null && { deduplication: { id: key } }),
    };
    if (delay > 0) {
      Object.assign(options, { delay: delay * 1000, timestamp: Math.round(now) });
      await client.zadd(ownKey(queue.toKey, DUE), data.notBefore as number, id);
    }
    return await queue.add(`${name} ${reference.name}`, data, options);
  }

  /** Another job has the same key. */
  async #join(entry: Entry, id: string): Promise<void> {
    this.#entries.delete(entry.id);
    let shared = this.#entries.get(id);
    if (shared === undefined) {
      shared = { id, callers: new Set(), owned: false, added: true, old: false };
      this.#entries.set(id, shared);
    }
    for (const job of entry.callers) this.#house(job, shared);
    await this.#look([shared]);
  }

  #succeed(id: string, result: unknown): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    for (const job of entry.callers) {
      try {
        job.succeed(decode(result));
      } catch (error) {
        job.fail(error);
      }
    }
  }

  #end(entry: Entry, error: unknown): void {
    this.#entries.delete(entry.id);
    for (const job of entry.callers) job.fail(error);
  }

  // --- cancels ---

  #leave(job: PendingJob): void {
    const entry = this.#homes.get(job);
    if (entry === undefined || !entry.callers.delete(job) || entry.callers.size > 0) return;
    this.#entries.delete(entry.id);
    if (entry.owned && entry.added) this.#withdraw(entry.id);
  }

  /** Removes a queued job, or tells the worker of a running one. */
  #withdraw(id: string): void {
    const done = this.#remove(id, true)
      // The connection was closed, or Redis has refused the command: the result will have no caller.
      .then(nothing, nothing)
      .then(() => void this.#withdrawals.delete(done));
    this.#withdrawals.add(done);
  }

  /** @returns true if no worker has begun the job */
  async #remove(id: string, alsoRunning: boolean): Promise<boolean> {
    const { queue, client } = await this.#open();
    const key = ownKey(queue.toKey, CANCEL + id);
    if (alsoRunning) await client.set(key, '1', 'EX', CANCEL_HOLDS);
    const removed = (await queue.remove(id)) === 1;
    if (removed && alsoRunning) await client.del(key);
    return removed;
  }

  /** Rejects the jobs that no worker has begun. */
  async #cancelQueued(): Promise<void> {
    const error = new CancelledError('the executor was shut down before this function had started');
    const each = async (entry: Entry): Promise<void> => {
      if (!entry.owned || (entry.added && !(await this.#remove(entry.id, false)))) return;
      this.#end(entry, error);
      entry.callers.clear();
    };
    await Promise.all(Array.from(this.#entries.values(), each));
  }

  // --- looks ---

  #lookLater(): () => void {
    return afterMilliseconds(LOOK_EVERY, () => {
      const old = [...this.#entries.values()].filter((entry) => entry.added && entry.old);
      for (const entry of this.#entries.values()) entry.old = true;
      const again = (): void => {
        this.#stopLooking = this.#entries.size > 0 && !this.#closed ? this.#lookLater() : null;
      };
      this.#lookAtAll(old).then(again, again);
    });
  }

  async #lookAtAll(entries: readonly Entry[]): Promise<void> {
    for (let i = 0; i < entries.length; i += LOOK_AT) await this.#look(entries.slice(i, i + LOOK_AT));
  }

  /** Ends the jobs that have ended in Redis, and adds those again that Redis has lost. */
  async #look(entries: readonly Entry[]): Promise<void> {
    const { queue, client } = await this.#open();
    const pipeline = client.pipeline();
    const fields = ['timestamp', 'finishedOn', 'returnvalue', 'failedReason', ERROR_FIELD];
    for (const { id } of entries) pipeline.hmget(queue.toKey(id), ...fields);
    // A connection that was lost meanwhile: the next look will tell.
    const answers = await pipeline.exec().catch(() => null);
    for (const [i, [error, found]] of (answers ?? []).entries()) {
      if (error === null) this.#judge(entries[i] as Entry, found as (string | null)[]);
    }
  }

  #judge(entry: Entry, [timestamp, finishedOn, result, reason, saved]: (string | null | undefined)[]): void {
    if (this.#entries.get(entry.id) !== entry) return;
    if (!timestamp) this.#addAgain(entry);
    else if (!finishedOn) return;
    else if (result) this.#succeed(entry.id, JSON.parse(result));
    else this.#end(entry, errorOf(saved ?? null, reason ?? 'unknown reason'));
  }

  /** Redis has lost the job, or another program has removed it. */
  #addAgain(entry: Entry): void {
    this.#entries.delete(entry.id);
    for (const job of entry.callers) this.#begin(job);
  }
}

function errorOf(saved: string | null, reason: string): unknown {
  try {
    return decodeError(saved, reason);
  } catch (cause) {
    return new BrokenExecutorError(`the job failed, and its error cannot be read: ${reason}`, { cause });
  }
}

function nothing(): void {}
