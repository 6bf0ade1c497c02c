/** The interface of a running job to its caller, inside the worker. */

/** The job that a worker runs: see {@link currentJob}. */
export interface Job {
  /**
   * Calls the caller's `onProgress` with `value`. All progress arrives before the job's result.
   *
   * @param value any value that can be copied
   * @param transfer objects in `value` that are transferred, not copied (threads only; a process copies)
   * @throws TypeError if the value cannot be copied
   */
  reportProgress(value: unknown, transfer?: readonly unknown[]): void;
  /**
   * Returns true if the caller has cancelled the job. A job that ends soon after a cancel keeps its worker;
   * otherwise the pool terminates the worker after its `gracePeriod`. In a thread this is true at once. A
   * process shares no memory, so there it is true only after an `await`.
   */
  cancelled(): boolean;
  /** Aborts when the job is cancelled. The job must await something to see it. */
  readonly signal: AbortSignal;
  /**
   * Returns `value`. When the job returns it, the objects in `list` are transferred, not copied. (Threads
   * only; a process copies.)
   */
  transfer<T>(value: T, list: readonly unknown[]): T;
}

/**
 * A registered symbol, because the job's module may have loaded another copy of this package than its worker.
 */
const CURRENT = Symbol.for('gyre.currentJob');

/**
 * Returns the job that this worker runs, or null outside of a worker, so that the same function can also be
 * called directly.
 *
 * A function that is passed as source may use `currentJob`, although the name comes from outside of the
 * function.
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

/** For the worker only. */
export function setCurrentJob(job: Job | null): void {
  (globalThis as Record<symbol, Job | null | undefined>)[CURRENT] = job;
}
