/** Calls in a pool of the package `piscina`. */
import { Piscina } from 'piscina';
import { measurePromises, WORKERS } from '../pool-calls.ts';

const pool = new Piscina({
  filename: new URL('./piscina-worker.js', import.meta.url).href,
  name: 'same',
  minThreads: WORKERS,
  maxThreads: WORKERS,
});
await measurePromises((n) => pool.run(n) as PromiseLike<number>);
await pool.destroy();
