/** Calls in a pool of threads. */
import { ThreadPoolExecutor } from 'gyre';
import { WORKERS } from '../pool-calls.ts';
import { measurePool } from './pool.ts';

await measurePool(new ThreadPoolExecutor({ maxWorkers: WORKERS }));
