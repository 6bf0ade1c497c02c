import { cpus } from 'node:os';
import type { PoolOptions } from './pool-executor.ts';
import { PoolExecutor } from './pool-executor.ts';

/**
 * Runs functions in threads of this process, for computations, while the loop continues. Memory can be
 * transferred or shared. `process.exit()` in a job ends only its thread.
 *
 * The pool starts threads when jobs come, and keeps them for later jobs. An idle pool does not keep the
 * process alive.
 *
 * `options`: `maxWorkers` (default: `min(32, processors + 4)`), `gracePeriod` (seconds).
 *
 * **Backends** The time of a simulated loop stands still while a job that its code has submitted runs.
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
    super('thread', options, Math.min(32, cpus().length + 4));
  }
}
