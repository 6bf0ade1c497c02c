/** `setTimeout` over 0..200 ms. Node knows whole milliseconds only. */
import { measureCpu, operationsAsked, pseudoRandomDelays } from '../measure.ts';

const delays = pseudoRandomDelays(operationsAsked(), 200_000).map((microseconds) =>
  Math.floor(microseconds / 1000),
);

await measureCpu(async (operations) => {
  let fired = 0;
  await new Promise<void>((resolve) => {
    const fire = (): void => {
      fired += 1;
      if (fired === operations) resolve();
    };
    for (const milliseconds of delays) setTimeout(fire, milliseconds);
  });
  return fired;
});
