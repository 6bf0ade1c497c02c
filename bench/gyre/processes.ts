/** Calls in a pool of processes. */
import { ProcessPoolExecutor } from 'gyre';
import { WORKERS } from '../pool-calls.ts';
import { measurePool } from './pool.ts';

await measurePool(new ProcessPoolExecutor({ maxWorkers: WORKERS }));
