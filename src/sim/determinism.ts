/** Checks that two runs of one scenario do the same. */
import type { ComparableEntry, TraceDifference, TraceEntry } from '../backend/sim/trace.ts';
import { compareTraces, lineOf } from '../backend/sim/trace.ts';
import type { WorldTraceEntry } from '../backend/sim/world-trace.ts';
import { checkFunction } from '../base/validate.ts';
import { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';
import type { SimulateOptions } from './simulate.ts';
import { settingsOf, start } from './simulate.ts';
import type { World } from './world.ts';
import { checkOutside } from './world.ts';

/** A run of a scenario in a world. */
interface Run {
  readonly trace: readonly WorldTraceEntry[];
  /** The hashes of the contents of packets. */
  readonly contents: ReadonlyMap<WorldTraceEntry, number>;
}

/** Entries before the first difference that the error shows. */
const CONTEXT = 5;

/**
 * Runs a scenario twice, and throws if the two runs differ. Without options it runs on a new simulated loop
 * each time; with options, in a world that `simulate()` makes.
 *
 * Runs differ if they depend on chance: the real time, an unseeded random number, or the order of events from
 * outside of the loop. In a world, the error names the host and the event of the first difference. If the
 * contents of packets differ before, which are no part of a trace, it names the first such packet: they came
 * from a real clock or an unseeded random number.
 *
 * @param scenario called with the loop, which runs it as the main task; or with the world
 * @param options as for `simulate()`. Default of `seed`: 1
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
 *
 * await checkDeterminism(
 *   async (world) => {
 *     const host = world.host('server');
 *     await host.run(() => sleep(1));
 *   },
 *   { seed: 7 },
 * );
 * ```
 */
export function checkDeterminism(
  scenario: (loop: SimulatedEventLoop) => PromiseLike<unknown>,
): Promise<readonly TraceEntry[]>;
export function checkDeterminism(
  scenario: (world: World) => PromiseLike<unknown>,
  options: SimulateOptions,
): Promise<readonly WorldTraceEntry[]>;
export async function checkDeterminism(
  scenario: ((loop: SimulatedEventLoop) => PromiseLike<unknown>) | ((world: World) => PromiseLike<unknown>),
  options?: SimulateOptions,
): Promise<readonly ComparableEntry[]> {
  checkFunction('scenario', scenario);
  if (options === undefined)
    return await checkLoops(scenario as (loop: SimulatedEventLoop) => PromiseLike<unknown>);
  return await checkWorlds(scenario as (world: World) => PromiseLike<unknown>, options);
}

async function checkLoops(
  scenario: (loop: SimulatedEventLoop) => PromiseLike<unknown>,
): Promise<readonly TraceEntry[]> {
  const first = await traceOf(scenario);
  const difference = compareTraces(first, await traceOf(scenario));
  if (difference === null) return first;
  throw new Error(describe(difference));
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

async function checkWorlds(
  scenario: (world: World) => PromiseLike<unknown>,
  options: SimulateOptions,
): Promise<readonly WorldTraceEntry[]> {
  const chosen = settingsOf({ seed: 1, ...options });
  const settings = { ...chosen, trace: chosen.trace || true };
  checkOutside();
  const run = async (): Promise<Run> => {
    let world: World | null = null;
    await start(settings, options.node ?? true, scenario, (made) => {
      world = made;
      made._trace.hashContents();
    });
    const { entries, contents } = (world as unknown as World)._trace;
    return { trace: entries, contents };
  };
  const first = await run();
  const second = await run();
  const difference = compareTraces(first.trace, second.trace);
  if (difference === null) return first.trace;
  throw new Error([describe(difference), ...hints(first, second, difference.index)].join('\n'));
}

function describe({ index, first, second }: TraceDifference): string {
  return (
    `two runs of one scenario differ at entry ${index}:\n` +
    `  first run:  ${first ?? '(has ended)'}\n` +
    `  second run: ${second ?? '(has ended)'}`
  );
}

/** Returns what is known of the cause. */
function hints(first: Run, second: Run, index: number): string[] {
  const lines: string[] = [];
  const entry = first.trace[index] ?? second.trace[index];
  if (entry !== undefined && entry.host !== '') lines.push(`  on host ${entry.host}`);
  const packet = differentPacket(first, second, index);
  if (packet !== null) {
    lines.push(
      '  The contents of a packet differ before, so they come from a real clock, an unseeded random number or TLS:',
      `    ${lineOf(packet)}`,
      '  (TLS: a key of Ed25519 or RSA and a server with SSL_OP_NO_TICKET give packets of the same size.)',
    );
  }
  const before = first.trace.slice(Math.max(0, index - CONTEXT), index);
  if (before.length > 0) lines.push('  The entries before:', ...before.map((one) => `    ${lineOf(one)}`));
  return lines;
}

/** Returns the first packet whose contents differ before the traces do, or null. */
function differentPacket(first: Run, second: Run, index: number): WorldTraceEntry | null {
  for (let i = 0; i < index; i++) {
    const one = first.trace[i] as WorldTraceEntry;
    if (first.contents.get(one) !== second.contents.get(second.trace[i] as WorldTraceEntry)) return one;
  }
  return null;
}
