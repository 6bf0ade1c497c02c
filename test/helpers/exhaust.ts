import { openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** In a row: then nobody has anything open for a moment only that he closes next. */
const REFUSALS = 50;

/**
 * Takes every descriptor that the process may have, also those that Node or a loader lets go of meanwhile.
 */
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
