/** `gyre/sim`: the simulated loop, and the proof that what runs on it is deterministic. */
import type { TraceEntry } from '../backend/sim/trace.ts';
import { compareTraces } from '../backend/sim/trace.ts';
import { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';

export type { TraceDifference, TraceEntry } from '../backend/sim/trace.ts';
export { compareTraces } from '../backend/sim/trace.ts';
export type { SimulatedEventLoopOptions } from '../loops/simulated-event-loop.ts';
export { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';

/**
 * Runs a scenario twice, each time on a fresh simulated loop, and fails where the two runs part.
 *
 * What makes them part is a source of chance: the real time, an unseeded random number, the order of
 * something that comes from outside of the loop.
 *
 * @param scenario run as the main task of the loop that it is given
 * @returns the trace of both
 * @throws Error with the two lines of the first difference; what the scenario throws
 *
 * @example
 * ```ts
 * import { sleep } from 'gyre';
 * import { checkDeterminism } from 'gyre/sim';
 *
 * const trace = await checkDeterminism(async () => {
 *   await sleep(3600);
 * });
 * console.log(trace.at(-1)?.time); // 3600
 * ```
 */
export async function checkDeterminism(
  scenario: (loop: SimulatedEventLoop) => PromiseLike<unknown>,
): Promise<readonly TraceEntry[]> {
  const first = await traceOf(scenario);
  const difference = compareTraces(first, await traceOf(scenario));
  if (difference === null) return first;
  throw new Error(
    `two runs of one scenario part at entry ${difference.index}:\n` +
      `  first run:  ${difference.first ?? '(has ended)'}\n` +
      `  second run: ${difference.second ?? '(has ended)'}`,
  );
}

async function traceOf(
  scenario: (loop: SimulatedEventLoop) => PromiseLike<unknown>,
): Promise<readonly TraceEntry[]> {
  const loop = new SimulatedEventLoop({ trace: true });
  try {
    await loop.runUntilComplete(() => scenario(loop));
  } finally {
    if (!loop.isRunning()) loop.close();
  }
  return loop.trace;
}
