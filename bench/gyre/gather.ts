/** `gather` of many coroutines that end at once. */
import { gather, run } from 'gyre';
import { measureCpu } from '../measure.ts';

const one = async (): Promise<number> => 1;

const body = async (operations: number): Promise<number> => {
  const ones = await gather(...Array.from({ length: operations }, one));
  return ones.reduce((sum, value) => sum + value, 0);
};

await run(() => measureCpu(body));
