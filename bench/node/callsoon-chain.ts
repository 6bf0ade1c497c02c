/** Every immediate sets the next one: an iteration of Node's loop for each. */
import { measureCpu } from '../measure.ts';

await measureCpu(async (operations) => {
  let ran = 0;
  await new Promise<void>((resolve) => {
    const link = (): void => {
      ran += 1;
      if (ran < operations) setImmediate(link);
      else resolve();
    };
    setImmediate(link);
  });
  return ran;
});
