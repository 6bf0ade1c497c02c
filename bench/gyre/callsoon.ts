/** `callSoon` from within a callback of the running loop. */
import { getRunningLoop, run } from 'gyre';
import { measureCpu } from '../measure.ts';

const body = async (operations: number): Promise<number> => {
  const loop = getRunningLoop();
  const done = loop.createFuture<void>();
  let ran = 0;
  const count = (): void => {
    ran += 1;
  };
  loop.callSoon(() => {
    for (let i = 0; i < operations; i++) loop.callSoon(count);
    loop.callSoon(() => done.setResult());
  });
  await done;
  return ran;
};

await run(() => measureCpu(body));
