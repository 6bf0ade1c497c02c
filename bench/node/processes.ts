/** Calls in two processes, by the messages of `fork()` alone. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { measurePromises, WORKERS } from '../pool-calls.ts';
import { BarePool } from './bare-pool.ts';
import type { Answer } from './bare-worker.ts';

const program = fileURLToPath(new URL('./bare-worker.js', import.meta.url));
const workers = Array.from({ length: WORKERS }, () => fork(program));
const pool = new BarePool(workers.map((worker) => (message) => worker.send(message)));
for (const worker of workers) worker.on('message', (answer) => pool.answer(answer as Answer));

await measurePromises((n) => pool.call(n));
for (const worker of workers) worker.disconnect();
