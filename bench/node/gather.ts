/** `Promise.all` of many async functions that end at once. No task is made for any of them. */
import { measureCpu } from '../measure.ts';

const one = async (): Promise<number> => 1;

await measureCpu(async (operations) => {
  const ones = await Promise.all(Array.from({ length: operations }, one));
  return ones.reduce((sum, value) => sum + value, 0);
});
