/** The jobs of an executor without Redis: a process pool with the same options. */
import { CancelledError } from '../base/errors.ts';
import { ProcessPoolExecutor } from '../executor/process-pool.ts';
import type { JobQueue, JobRequest } from './pending-job.ts';
import { afterMilliseconds, PendingJob } from './pending-job.ts';

/** A job, and its callers: several if they have passed the same key. */
interface LocalJob {
  readonly id: number;
  readonly request: JobRequest;
  readonly callers: Set<PendingJob>;
  readonly controller: AbortController;
  attempts: number;
  running: boolean;
  /** Ends the wait before its start. */
  stopWaiting: () => void;
}

export class LocalJobs implements JobQueue {
  readonly #pool: ProcessPoolExecutor = new ProcessPoolExecutor();
  readonly #jobs: Set<LocalJob> = new Set();
  /** The jobs that may start, by priority. */
  readonly #ready: LocalJob[] = [];
  readonly #byKey: Map<string, LocalJob> = new Map();
  #running: number = 0;
  #nextId: number = 1;

  submit(request: JobRequest): Promise<unknown> {
    const call = new PendingJob(request);
    const { key, delay } = request.plan;
    let job = key === null ? undefined : this.#byKey.get(key);
    if (job === undefined) {
      job = this.#newJob(request);
      if (key !== null) this.#byKey.set(key, job);
      this.#startAfter(job, delay);
    }
    job.callers.add(call);
    const joined = job;
    call.listen((error) => this.#leave(joined, call, error));
    return call.promise;
  }

  async shutdown(cancelPending: boolean): Promise<void> {
    if (cancelPending) {
      const error = new CancelledError('the executor was shut down before this function had started');
      for (const job of this.#jobs) if (!job.running) this.#end(job, (call) => call.fail(error));
    }
    const calls = Array.from(this.#jobs, ({ callers }) => Array.from(callers, ({ promise }) => promise));
    await Promise.allSettled(calls.flat());
    await this.#pool.shutdown();
  }

  #newJob(request: JobRequest): LocalJob {
    const job: LocalJob = {
      id: this.#nextId++,
      request,
      callers: new Set(),
      controller: new AbortController(),
      attempts: 0,
      running: false,
      stopWaiting: () => {},
    };
    this.#jobs.add(job);
    return job;
  }

  #startAfter(job: LocalJob, seconds: number): void {
    if (seconds > 0) {
      job.stopWaiting = afterMilliseconds(seconds * 1000, () => this.#makeReady(job));
    } else {
      this.#makeReady(job);
    }
  }

  #makeReady(job: LocalJob): void {
    const { priority } = job.request.plan;
    const follower = this.#ready.findIndex(
      (other) =>
        other.request.plan.priority - priority > 0 ||
        (other.request.plan.priority === priority && other.id > job.id),
    );
    this.#ready.splice(follower < 0 ? this.#ready.length : follower, 0, job);
    this.#startNext();
  }

  #startNext(): void {
    while (this.#running < this.#pool.maxWorkers) {
      const job = this.#ready.shift();
      if (job === undefined) return;
      void this.#run(job);
    }
  }

  async #run(job: LocalJob): Promise<void> {
    const { fn, args, plan } = job.request;
    job.running = true;
    job.attempts++;
    this.#running++;
    try {
      const value = await this.#pool.submit(fn, args as never, {
        signal: job.controller.signal,
        onProgress: (part) => {
          for (const call of job.callers) call.progress(part);
        },
      });
      this.#end(job, (call) => call.succeed(value));
    } catch (error) {
      job.running = false;
      if (job.attempts <= plan.retries && this.#jobs.has(job)) {
        this.#startAfter(job, plan.backoff * 2 ** (job.attempts - 1));
      } else {
        this.#end(job, (call) => call.fail(error));
      }
    } finally {
      this.#running--;
      this.#startNext();
    }
  }

  #leave(job: LocalJob, call: PendingJob, error: unknown): void {
    job.callers.delete(call);
    if (job.callers.size > 0) return;
    this.#end(job, () => {});
    job.controller.abort(error);
  }

  #end(job: LocalJob, settle: (call: PendingJob) => void): void {
    job.stopWaiting();
    this.#jobs.delete(job);
    const { key } = job.request.plan;
    if (key !== null && this.#byKey.get(key) === job) this.#byKey.delete(key);
    const place = this.#ready.indexOf(job);
    if (place >= 0) this.#ready.splice(place, 1);
    for (const call of job.callers) settle(call);
  }
}
