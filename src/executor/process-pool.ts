import { cpus } from 'node:os';
import type { PoolOptions } from './pool-executor.ts';
import { PoolExecutor } from './pool-executor.ts';
import { checkProcesses } from './worker-entry.ts';

/**
 * Runs functions in separate processes: for computations that may crash, leak, or use native code that does
 * not work in threads. Everything is copied and nothing is transferred; shared memory, or a view of it, as an
 * argument is an error.
 *
 * The pool starts processes when jobs come, and keeps them for later jobs. They end with this process. An
 * idle pool does not keep the process alive. The processes inherit the environment, the standard streams and
 * Node's options.
 *
 * `options`: `maxWorkers` (default: the number of processors), `gracePeriod` (seconds).
 *
 * **Backends** The time of a simulated loop stands still while a job that its code has submitted runs.
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
  /** @throws LoopError `ERR_UNSUPPORTED` in a single executable, which holds no other program to start */
  constructor(options: PoolOptions = {}) {
    checkProcesses();
    super('process', options, Math.max(1, cpus().length));
  }
}
