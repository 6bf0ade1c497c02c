/** Calls in two threads, by `postMessage()` alone. */
import { Worker } from 'node:worker_threads';
import { measurePromises, WORKERS } from '../pool-calls.ts';
import { BarePool } from './bare-pool.ts';

const workers = Array.from(
  { length: WORKERS },
  () => new Worker(new URL('./bare-worker.js', import.meta.url)),
);
const pool = new BarePool(workers.map((worker) => (message) => worker.postMessage(message)));
for (const worker of workers) worker.on('message', (answer) => pool.answer(answer));

await measurePromises((n) => pool.call(n));
for (const worker of workers) await worker.terminate();
