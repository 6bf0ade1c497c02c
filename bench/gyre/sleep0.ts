/** `sleep(0)` over 100 tasks. */
import { gather, getRunningLoop, run, sleep } from 'gyre';
import { measureCpu } from '../measure.ts';

const TASKS = 100;

const body = async (operations: number): Promise<number> => {
  const loop = getRunningLoop();
  let done = 0;
  const yielding = async (): Promise<void> => {
    for (let i = 0; i < operations / TASKS; i++) {
      await sleep(0);
      done += 1;
    }
  };
  await gather(...Array.from({ length: TASKS }, () => loop.createTask(yielding)));
  return done;
};

await run(() => measureCpu(body));
