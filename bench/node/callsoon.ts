/** `setImmediate` from within a callback. */
import { measureCpu } from '../measure.ts';

await measureCpu(async (operations) => {
  let ran = 0;
  const count = (): void => {
    ran += 1;
  };
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      for (let i = 0; i < operations; i++) setImmediate(count);
      setImmediate(resolve);
    });
  });
  return ran;
});
