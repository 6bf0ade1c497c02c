import { cpus } from 'workerpool';
import type { PoolOptions } from './pool-executor.ts';
import { PoolExecutor } from './pool-executor.ts';

/**
 * Runs functions in processes of their own: for what computes and may also crash, leak or hold native code
 * that knows no threads. Everything is copied, nothing handed over; an argument that is shared memory, or a
 * view of it, is refused.
 *
 * Processes are started as jobs come and then kept for the next ones; they end with this one. An idle pool
 * keeps no process alive. They inherit the environment, the standard streams and Node's options.
 *
 * `options`: `maxWorkers` (default: the number of processors), `gracePeriod` (seconds).
 *
 * **Backends** `loop.runInExecutor()` needs one with processes: the simulated loop refuses.
 *
 * @example
 * ```ts
 * import { ProcessPoolExecutor } from 'gyre';
 *
 * await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
 * const pid = await pool.submit(() => process.pid, []);
 * console.log(pid !== process.pid); // true
 * ```
 */
export class ProcessPoolExecutor extends PoolExecutor {
  constructor(options: PoolOptions = {}) {
    super('process', options, cpus);
  }
}
