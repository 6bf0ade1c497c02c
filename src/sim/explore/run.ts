/** Runs a scenario with one seed and one schedule. */
import type { ChoiceKind } from '../../backend/sim/choices.ts';
import type { WorldTraceEntry } from '../../backend/sim/world-trace.ts';
import type { SimulateOptions } from '../simulate.ts';
import { settingsOf, start } from '../simulate.ts';
import type { HostReport, World } from '../world.ts';
import type { Decision } from './decisions.ts';
import type { LoopChoiceOptions } from './loop-choices.ts';
import { searchLoop } from './loop-choices.ts';
import type { Chooser } from './schedule-choices.ts';
import { Replay, ScheduleChoices } from './schedule-choices.ts';

export type Scenario = (world: World) => PromiseLike<unknown>;

/** The settings that all runs of a search share. */
export interface RunSettings extends LoopChoiceOptions {
  readonly scenario: Scenario;
  readonly simulate: SimulateOptions;
  /** The kinds of choices that are searched. */
  readonly kinds: ReadonlySet<ChoiceKind>;
}

export interface RunResult {
  readonly failure: { readonly error: unknown } | null;
  readonly choices: ScheduleChoices;
  readonly trace: readonly WorldTraceEntry[];
}

/** The result of {@link replay}. */
export interface ReplayResult extends RunResult {
  /** The first decision that the run did not ask for, or null. */
  readonly unfit: Decision | null;
}

/** A leak is a failure, and so is an exception that only a loop has seen. */
class ReportedFailure extends Error {
  override readonly name: string = 'ReportedFailure';
}

/**
 * Milliseconds of the real clock before a world in which nothing can run counts as deadlocked. A search has
 * many of them.
 */
const GRACE_MS = 20;

/** @param traced records each entry of each loop, and each choice */
export async function runOnce(
  settings: RunSettings,
  seed: number,
  chooser: Chooser,
  traced: boolean = false,
): Promise<RunResult> {
  const choices = new ScheduleChoices(chooser, settings.kinds, traced);
  const { simulate, scenario } = settings;
  const options = { ...simulate, seed, ...(traced ? { trace: 'loops' as const } : {}) };
  const worldSettings = settingsOf({ ...options, onReport: simulate.onReport ?? failByReport });
  let trace: readonly WorldTraceEntry[] = [];
  const prepare = (world: World): void => {
    world._timeline.choices = choices;
    world._onLoop = (host, loop) => searchLoop(loop, host, choices, settings);
    world._graceMs = GRACE_MS;
    choices.onDecision = ({ kind, place, text }) =>
      world._trace.tell('', 'choice', `${kind} ${place}: ${text}`);
    trace = world._trace.entries;
  };
  try {
    await start(worldSettings, simulate.node ?? true, scenario, prepare);
    return { failure: null, choices, trace };
  } catch (error) {
    return { failure: { error }, choices, trace };
  }
}

function failByReport({ host, message, exception }: HostReport): void {
  const cause = exception === null ? '' : `: ${String(exception)}`;
  throw new ReportedFailure(`on host ${host}: ${message}${cause}`, { cause: exception });
}

/** Runs the scenario with the given decisions, and as usual elsewhere. */
export async function replay(
  settings: RunSettings,
  seed: number,
  decisions: readonly Decision[],
  traced: boolean = false,
): Promise<ReplayResult> {
  const source = new Replay(decisions);
  const result = await runOnce(settings, seed, source.choose, traced);
  return { ...result, unfit: source.unfit };
}

/**
 * Returns a text that is equal for two failures of the same kind: neither times nor numbers of tasks count.
 */
export function kindOfFailure({ error }: { readonly error: unknown }): string {
  if (!(error instanceof Error)) return typeof error;
  const { name, message, cause } = error;
  const code = String((error as { code?: unknown }).code ?? '');
  if (code === 'ERR_SIMULATION_UNHANDLED') return `${code} ${kindOfFailure({ error: cause })}`;
  if (code.startsWith('ERR_SIMULATION_')) return code;
  const firstLine = (message.split('\n', 1)[0] as string).replace(/\d+(\.\d+)?/g, '#');
  return `${name} ${code} ${firstLine}`;
}
