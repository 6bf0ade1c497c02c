/**
 * Timers that are created, all of them, then cancelled; the turn in which the loop gets rid of them is
 * included.
 */
import type { TimerHandle } from 'gyre';
import { getRunningLoop, run, sleep } from 'gyre';
import { measureCpu } from '../measure.ts';

function fire(): never {
  throw new Error('a cancelled timer fired');
}

const body = async (operations: number): Promise<number> => {
  const loop = getRunningLoop();
  const timers: TimerHandle[] = [];
  for (let i = 0; i < operations; i++) timers.push(loop.callLater(10 + (i % 1000) / 1000, fire));
  for (const timer of timers) timer.cancel();
  await sleep(0);
  return timers.reduce((cancelled, timer) => cancelled + Number(timer.cancelled()), 0);
};

await run(() => measureCpu(body));
