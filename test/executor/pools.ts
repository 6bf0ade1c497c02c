/** Both kinds of pools, and the functions of jobs.ts. */
import type { PoolOptions } from '../../src/index.ts';
import { importFunctions, ProcessPoolExecutor, ThreadPoolExecutor } from '../../src/index.ts';

export type AnyPool = ThreadPoolExecutor | ProcessPoolExecutor;

export const kinds: readonly { kind: 'thread' | 'process'; make: (options?: PoolOptions) => AnyPool }[] = [
  { kind: 'thread', make: (options) => new ThreadPoolExecutor(options) },
  { kind: 'process', make: (options) => new ProcessPoolExecutor(options) },
];

export const jobsUrl: URL = new URL('./jobs.ts', import.meta.url);
export const jobs = importFunctions<typeof import('./jobs.ts')>(jobsUrl);

/** Runs `body` with a pool, and shuts it down. A pool that does not shut down makes the test time out. */
export async function withPool<T>(pool: AnyPool, body: (pool: AnyPool) => Promise<T>): Promise<T> {
  try {
    return await body(pool);
  } finally {
    await pool.shutdown({ cancelPending: true });
  }
}
