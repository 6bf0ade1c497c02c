/** An uncontended lock, acquired and released. */
import { Lock, run } from 'gyre';
import { measureCpu } from '../measure.ts';

const body = async (operations: number): Promise<number> => {
  const lock = new Lock();
  let done = 0;
  for (let i = 0; i < operations; i++) {
    await lock.acquire();
    done += 1;
    lock.release();
  }
  return done;
};

await run(() => measureCpu(body));
