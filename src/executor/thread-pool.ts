import { cpus } from 'workerpool';
import type { PoolOptions } from './pool-executor.ts';
import { PoolExecutor } from './pool-executor.ts';

/**
 * Runs functions in threads of this process: for what computes, while the loop goes on. Memory can be handed
 * over or shared; `process.exit()` in a job ends its thread alone.
 *
 * Threads are started as jobs come and then kept for the next ones. An idle pool keeps no process alive.
 *
 * `options`: `maxWorkers` (default: `min(32, processors + 4)`), `gracePeriod` (seconds).
 *
 * **Backends** `loop.runInExecutor()` needs one with threads: the simulated loop refuses.
 *
 * @example
 * ```ts
 * import { ThreadPoolExecutor } from 'gyre';
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
 * const sum = await pool.submit((n: number) => {
 *   let total = 0;
 *   for (let i = 1; i <= n; i++) total += i;
 *   return total;
 * }, [1_000_000]);
 * console.log(sum); // 500000500000
 * ```
 */
export class ThreadPoolExecutor extends PoolExecutor {
  constructor(options: PoolOptions = {}) {
    super('thread', options, Math.min(32, cpus + 4));
  }
}
