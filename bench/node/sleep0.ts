/** 100 async functions that wait for an immediate, again and again. */
import { measureCpu } from '../measure.ts';

const FUNCTIONS = 100;

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

await measureCpu(async (operations) => {
  let done = 0;
  const yielding = async (): Promise<void> => {
    for (let i = 0; i < operations / FUNCTIONS; i++) {
      await immediate();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: FUNCTIONS }, yielding));
  return done;
});
