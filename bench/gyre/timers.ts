/** Timers over 0..200 ms, scheduled at once and run. */
import { getRunningLoop, run } from 'gyre';
import { measureCpu, operationsAsked, pseudoRandomDelays } from '../measure.ts';

const delays = pseudoRandomDelays(operationsAsked(), 200_000).map((microseconds) => microseconds / 1e6);

const body = async (operations: number): Promise<number> => {
  const loop = getRunningLoop();
  const done = loop.createFuture<void>();
  let fired = 0;
  const fire = (): void => {
    fired += 1;
    if (fired === operations) done.setResult();
  };
  for (const delay of delays) loop.callLater(delay, fire);
  await done;
  return fired;
};

await run(() => measureCpu(body));
