/** Calls in a pool of the package `workerpool`. */
import { fileURLToPath } from 'node:url';
import { pool } from 'workerpool';
import { measurePromises, WORKERS } from '../pool-calls.ts';

export async function measureWorkerpool(workerType: 'thread' | 'process'): Promise<void> {
  const script = fileURLToPath(new URL('./workerpool-worker.js', import.meta.url));
  const workers = pool(script, { workerType, maxWorkers: WORKERS });
  await measurePromises((n) => workers.exec('same', [n]) as PromiseLike<number>);
  await workers.terminate();
}
