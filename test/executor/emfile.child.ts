/**
 * Starts a pool's first worker with no descriptors, or few, and then with enough. Prints the outcome of the
 * jobs.
 */
import { closeSync } from 'node:fs';
import { ProcessPoolExecutor, ThreadPoolExecutor } from '../../src/index.ts';
import { takeAllDescriptors } from '../helpers/exhaust.ts';

const Pool = process.argv[2] === 'process' ? ProcessPoolExecutor : ThreadPoolExecutor;
const pool = new Pool({ maxWorkers: 2 });
const taken = await takeAllDescriptors();
const codes = new Set<unknown>();
for (let free = 0; free < 8; free++) {
  try {
    await pool.submit(() => 'too early', []);
  } catch (error) {
    codes.add((error as NodeJS.ErrnoException).code);
  }
  closeSync(taken.pop() as number);
}
for (const fd of taken) closeSync(fd);
const again = await pool.submit((n: number) => n + 1, [41]);
await pool.shutdown();
console.log(JSON.stringify({ codes: [...codes], again }));
