/**
 * How late timers of 1..50 ms are on an idle loop: 20 chains, each of which starts its next timer as one
 * fires.
 */
import { getRunningLoop, run } from 'gyre';
import { operationsAsked, reportLateness } from '../measure.ts';

const CHAINS = 20;

await run(async () => {
  const loop = getRunningLoop();
  const done = loop.createFuture<void>();
  const timers = operationsAsked();
  const late: number[] = [];
  let started = 0;

  const start = (): void => {
    if (started === timers) return;
    const milliseconds = 1 + ((started * 37) % 50);
    started += 1;
    loop.callLater(milliseconds / 1000, fire, performance.now() + milliseconds);
  };
  const fire = (due: number): void => {
    late.push(performance.now() - due);
    if (late.length === timers) done.setResult();
    start();
  };

  for (let i = 0; i < CHAINS; i++) start();
  await done;
  if (late.some((milliseconds) => milliseconds < 0)) throw new Error('a timer fired early');
  reportLateness(late);
});
