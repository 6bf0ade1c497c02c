/** Whether a program went the same way on gyre and on asyncio, and where it did not. */
import type { Interpreter } from './interpreters.ts';
import type { Failed, Program, Run } from './program.ts';

/**
 * - `same`: the same outcome and time of every task, and the same log, line for line.
 * - `order`: the same outcomes and times, but not the same log.
 * - `outcome`: a task ended otherwise, or at another time.
 * - `failed`: an interpreter died or hung.
 * - `apart`: cannot be compared, and does differ. asyncio's interpreter says why.
 */
export type Verdict = 'same' | 'order' | 'outcome' | 'failed' | 'apart';

export interface Comparison {
  program: Program;
  asyncio: Run | Failed;
  gyre: Run | Failed;
  verdict: Verdict;
}

/** Runs programs on both at once. */
export async function compareAll(
  programs: readonly Program[],
  asyncio: Interpreter,
  gyre: Interpreter,
): Promise<Comparison[]> {
  const [ofAsyncio, ofGyre] = await Promise.all([asyncio.run(programs), gyre.run(programs)]);
  return programs.map((program, index) => {
    const runs = { asyncio: ofAsyncio[index] as Run | Failed, gyre: ofGyre[index] as Run | Failed };
    return { program, ...runs, verdict: verdictOf(runs.asyncio, runs.gyre) };
  });
}

export function verdictOf(asyncio: Run | Failed, gyre: Run | Failed): Verdict {
  if ('failure' in asyncio || 'failure' in gyre) return 'failed';
  const sameOutcome = outcomeText(asyncio) === outcomeText(gyre);
  if (sameOutcome && logText(asyncio) === logText(gyre)) return 'same';
  if (asyncio.apart !== undefined && asyncio.apart.length > 0) return 'apart';
  return sameOutcome ? 'order' : 'outcome';
}

/** The outcomes and times of all tasks, as one text. */
export function outcomeText({ outcome, deadlock }: Run): string {
  const lines = Object.entries(outcome).map(([task, how]) => `${task} ${how}`);
  return [...lines.sort(), deadlock ? 'deadlock' : 'no deadlock'].join('\n');
}

export function logText({ log }: Run): string {
  return log.join('\n');
}

/** The first lines in which the logs differ; an empty one where a log has ended. */
export function firstDifference(asyncio: Run, gyre: Run): { asyncio: string; gyre: string } {
  let at = 0;
  while (at < asyncio.log.length && asyncio.log[at] === gyre.log[at]) at++;
  return { asyncio: asyncio.log[at] ?? '', gyre: gyre.log[at] ?? '' };
}
