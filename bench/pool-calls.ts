/**
 * Helpers of the programs `threads` and `processes` of `gyre/` and `node/`, which call a function that does
 * nothing in a pool of two workers. The twin is `asyncio/pool_calls.py`.
 */
import { cpuUsage } from 'node:process';
import { median, operationsAsked, report, sizesAsked } from './measure.ts';

export const WORKERS = 2;

/** Waits until the workers have started and the compiler has seen the code. */
const WARM_UPS = 2;
const REPETITIONS = 5;

/**
 * Reports calls a second, or the microseconds of a call if there is one at a time; and the CPU time of a call
 * in this process, its threads included.
 *
 * @param call returns its argument, by a worker
 * @param concurrently runs functions at the same time, to their ends
 */
export async function measureCalls(
  call: (n: number) => PromiseLike<number>,
  concurrently: (callers: readonly (() => Promise<void>)[]) => PromiseLike<unknown>,
): Promise<void> {
  const operations = operationsAsked();
  const [atOnce = 1] = sizesAsked();
  const many = async (): Promise<void> => {
    let [started, ended] = [0, 0];
    const caller = async (): Promise<void> => {
      while (started < operations) {
        const n = started++;
        if ((await call(n)) !== n) throw new Error('another answer came back');
        ended += 1;
      }
    };
    await concurrently(Array.from({ length: atOnce }, () => caller));
    if (ended !== operations) throw new Error(`${ended} of ${operations} calls ended`);
  };

  const microseconds: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i < WARM_UPS + REPETITIONS; i++) {
    const [begin, before] = [performance.now(), cpuUsage()];
    await many();
    const [end, spent] = [performance.now(), cpuUsage(before)];
    if (i < WARM_UPS) continue;
    microseconds.push(((end - begin) * 1000) / operations);
    cpu.push((spent.user + spent.system) / operations);
  }
  const each = median(microseconds);
  report(atOnce === 1 ? each : 1e6 / each, { 'CPU us': median(cpu) });
}

/** {@link measureCalls} where promises need no tasks. */
export function measurePromises(call: (n: number) => PromiseLike<number>): Promise<void> {
  return measureCalls(call, (callers) => Promise.all(callers.map((caller) => caller())));
}
