/** Every callback schedules the next one: a turn of the loop for each. */
import { getRunningLoop, run } from 'gyre';
import { measureCpu } from '../measure.ts';

const body = async (operations: number): Promise<number> => {
  const loop = getRunningLoop();
  const done = loop.createFuture<void>();
  let ran = 0;
  const link = (): void => {
    ran += 1;
    if (ran < operations) loop.callSoon(link);
    else done.setResult();
  };
  loop.callSoon(link);
  await done;
  return ran;
};

await run(() => measureCpu(body));
