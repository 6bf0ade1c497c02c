/** Timers over 0..200 ms in a simulated world: 100 hosts share them. */
import { getRunningLoop } from 'gyre';
import { simulate } from 'gyre/sim';
import { HOSTS } from '../exchange.ts';
import { measureCpu, operationsAsked, pseudoRandomDelays } from '../measure.ts';

const delays = pseudoRandomDelays(operationsAsked(), 200_000).map((microseconds) => microseconds / 1e6);

const body = async (operations: number): Promise<number> => {
  let fired = 0;
  const share = operations / HOSTS;
  await simulate({ seed: 1, node: false }, async (world) => {
    const programs = Array.from({ length: HOSTS }, (_, i) =>
      world.host(`host-${i}`).run(async () => {
        const loop = getRunningLoop();
        const done = loop.createFuture<void>();
        let left = share;
        const fire = (): void => {
          fired += 1;
          left -= 1;
          if (left === 0) done.setResult();
        };
        for (const delay of delays.slice(i * share, (i + 1) * share)) loop.callLater(delay, fire);
        await done;
      }),
    );
    await Promise.all(programs);
  });
  return fired;
};

await measureCpu(body);
