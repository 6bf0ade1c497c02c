/** What a function that an executor runs can ask and say, in its worker. */

/** The job that a worker runs: see {@link currentJob}. */
export interface Job {
  /**
   * Tells the caller's `onProgress`. All of it arrives before the job's result.
   *
   * @param value anything that can be copied
   * @param transfer what of it is handed over instead (threads only; a process copies)
   * @throws TypeError when it cannot be copied
   */
  reportProgress(value: unknown, transfer?: readonly unknown[]): void;
  /**
   * Whether the caller does not want the result any more. A job that ends soon keeps its worker; one that
   * does not is ended with it after the pool's `gracePeriod`. In a thread this is true at once; in a process,
   * which shares no memory, only after an `await`.
   */
  cancelled(): boolean;
  /** Aborts when the job is cancelled, once the job awaits something. */
  readonly signal: AbortSignal;
  /**
   * Answers `value`, and remembers what of it is to be handed over instead of being copied when the job
   * returns it. (Threads only; a process copies.)
   */
  transfer<T>(value: T, list: readonly unknown[]): T;
}

/** By a registered symbol: a job's module may have loaded another copy of this package than its worker. */
const CURRENT = Symbol.for('gyre.currentJob');

/**
 * The job that this worker runs; null outside of one, so that the same function can be called directly, too.
 *
 * A function that is shipped as source may use `currentJob` although it comes from outside.
 *
 * @example
 * ```ts
 * import { currentJob, run, getRunningLoop, ThreadPoolExecutor } from 'gyre';
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
 * const reporting = pool.withOptions({ onProgress: (part: number) => console.log(`${part} of 3`) });
 *
 * await run(() =>
 *   getRunningLoop().runInExecutor(reporting, (parts: number) => {
 *     for (let part = 1; part <= parts; part++) currentJob()?.reportProgress(part);
 *   }, 3),
 * );
 * ```
 */
export function currentJob(): Job | null {
  return (globalThis as Record<symbol, Job | null | undefined>)[CURRENT] ?? null;
}

/** For the worker alone. */
export function setCurrentJob(job: Job | null): void {
  (globalThis as Record<symbol, Job | null | undefined>)[CURRENT] = job;
}
