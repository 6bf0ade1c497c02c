import { openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Failures in a row: then no code has a descriptor open that it closes soon. */
const REFUSALS = 50;

/** Takes every descriptor that the process may have, also those that Node or a loader frees meanwhile. */
export async function takeAllDescriptors(): Promise<number[]> {
  const taken: number[] = [];
  for (let refusals = 0; refusals < REFUSALS; ) {
    try {
      taken.push(openSync('/dev/null', 'r'));
      refusals = 0;
    } catch {
      refusals++;
      await pause(2);
    }
  }
  return taken;
}
