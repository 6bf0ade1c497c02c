/** `gyre/sim`: the simulated loop, and a check that code on it is deterministic. */
import type { TraceEntry } from '../backend/sim/trace.ts';
import { compareTraces } from '../backend/sim/trace.ts';
import { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';

export type { TraceDifference, TraceEntry } from '../backend/sim/trace.ts';
export { compareTraces } from '../backend/sim/trace.ts';
export type { SimulatedEventLoopOptions } from '../loops/simulated-event-loop.ts';
export { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';

/**
 * Runs a scenario twice, each time on a new simulated loop, and throws if the two runs differ.
 *
 * Runs differ if they depend on chance: the real time, an unseeded random number, or the order of events from
 * outside of the loop.
 *
 * @param scenario called with the loop, which runs it as the main task
 * @returns the trace of both runs
 * @throws Error with the two lines of the first difference; the exception of the scenario
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
    `two runs of one scenario differ at entry ${difference.index}:\n` +
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
