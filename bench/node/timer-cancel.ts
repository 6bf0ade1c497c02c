/** Timers that are created, all of them, then cleared; the next iteration of Node's loop is included. */
import { measureCpu } from '../measure.ts';

function fire(): never {
  throw new Error('a cancelled timer fired');
}

await measureCpu(async (operations) => {
  const timers: NodeJS.Timeout[] = [];
  for (let i = 0; i < operations; i++) timers.push(setTimeout(fire, 10_000 + (i % 1000)));
  for (const timer of timers) clearTimeout(timer);
  await new Promise((resolve) => setImmediate(resolve));
  return timers.length;
});
