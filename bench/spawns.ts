/**
 * Helpers of the programs `spawn` of `gyre/`, `node/` and `bun/`. The twins are in `asyncio/spawn.py` and
 * `libuv/spawn.c`.
 */
import { median, operationsAsked, report, sizesAsked } from './measure.ts';

const WARM_UPS = 20;
const BLOCKED_SAMPLES = 30;

/**
 * Reports the microseconds from a spawn to the next one, and the time for which a spawn blocks the loop.
 *
 * @param spawnOne runs a program to its end, and resolves to its exit code
 * @param concurrently runs functions at the same time, to their ends
 */
export async function measureSpawns(
  spawnOne: () => PromiseLike<number | null>,
  concurrently: (workers: readonly (() => Promise<void>)[]) => PromiseLike<unknown>,
): Promise<void> {
  const operations = operationsAsked();
  const [atOnce = 1, residentMebibytes = 0] = sizesAsked();
  const resident = Buffer.alloc(residentMebibytes * 2 ** 20, 1); // every page of it is written

  const one = async (): Promise<void> => {
    const code = await spawnOne();
    if (code !== 0) throw new Error(`the child ended with ${code}`);
  };
  const many = async (count: number): Promise<void> => {
    let [started, ended] = [0, 0];
    const worker = async (): Promise<void> => {
      while (started < count) {
        started += 1;
        await one();
        ended += 1;
      }
    };
    await concurrently(Array.from({ length: atOnce }, () => worker));
    if (ended !== count) throw new Error(`${ended} of ${count} children ended`);
  };

  await many(WARM_UPS);
  const begin = performance.now();
  await many(operations);
  const milliseconds = performance.now() - begin;

  const gaps: number[] = [];
  for (let i = 0; i < BLOCKED_SAMPLES; i++) gaps.push(await longestGap(one));
  for (let at = 0; at < resident.length; at += 4096) {
    if (resident[at] !== 1) throw new Error('the memory is gone'); // and until here it was needed
  }
  report((milliseconds * 1000) / operations, { 'blocked ms': median(gaps) });
}

/** Returns the longest time, in ms, for which `body` blocked a loop that is always busy. */
async function longestGap(body: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = 0;
  let over = false;
  const tick = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!over) setImmediate(tick);
  };
  last = performance.now();
  setImmediate(tick);
  await body();
  over = true;
  return longest;
}
