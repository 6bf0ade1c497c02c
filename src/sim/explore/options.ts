/** The options of a search, and their checks. */
import type { ChoiceKind } from '../../backend/sim/choices.ts';
import {
  checkFunction,
  checkInteger,
  checkOptions,
  checkSeconds,
  checkString,
  invalidArgType,
  outOfRange,
} from '../../base/validate.ts';
import { checkSeed } from '../../loops/simulated-event-loop.ts';
import type { SimulateOptions } from '../simulate.ts';
import { settingsOf } from '../simulate.ts';
import type { RunSettings, Scenario } from './run.ts';
import type { StrategyName } from './strategies.ts';

/** The faults that a search may add to the orders and delays that it always tries. */
export interface ExploreFaults {
  /** Datagrams get lost or arrive twice. Default: false. */
  datagrams?: boolean;
  /** TCP connections are reset. Default: false. */
  resets?: boolean;
  /** Tasks with these names are cancelled at any `await`. Default: none. */
  cancels?: readonly string[];
}

/** The end of a search: whichever comes first. */
export interface ExploreBudget {
  /** The number of schedules. Default: 1000. */
  schedules?: number;
  /** Seconds of the real clock. Default: no limit. */
  seconds?: number;
}

export interface ExploreProgress {
  /** The schedules that have passed. */
  readonly schedules: number;
  /** The seed of the last one. */
  readonly seed: number;
}

export interface ExploreOptions {
  /** The name in the report and in `GYRE_SCHEDULE`. Default: the name of the function, or `scenario`. */
  name?: string;
  /**
   * The seeds of the worlds, one after the other and then again. `exhaustive` tries all schedules with one
   * before it goes on to the next. Default: 1 for `exhaustive`, else 1, 2, 3, … without end.
   */
  seeds?: readonly number[];
  faults?: ExploreFaults;
  budget?: ExploreBudget;
  /** Default: `random`. */
  strategy?: StrategyName;
  /**
   * The order of the entries that are ready in one turn of a loop. `any`: also orders that asyncio excludes,
   * for programs that must not rely on FIFO. Default: `fifo`.
   */
  readyOrder?: 'fifo' | 'any';
  /** The options of each world. By default, each report of a loop is a failure: a leak, a lost exception. */
  simulate?: Omit<SimulateOptions, 'seed' | 'trace' | 'traceFile' | 'pcap'>;
  /**
   * The test file: the line that runs a schedule again names it, and failed schedules are kept beside it in
   * `.gyre/seeds`. null: nothing is kept. Default: the file of the caller.
   */
  file?: string | null;
  /**
   * Runs each schedule of this many twice, to see whether the scenario is deterministic. 0: none. Default:
   * 100.
   */
  checkEvery?: number;
  /** The runs that shrinking may take. Default: 500. */
  shrinkRuns?: number;
  /** Called behind each schedule that has passed. */
  onProgress?: (progress: ExploreProgress) => void;
}

/** Checked and complete. */
export interface SearchSettings extends RunSettings {
  readonly name: string;
  readonly seeds: readonly number[] | null;
  readonly schedules: number;
  readonly seconds: number;
  readonly strategy: StrategyName;
  readonly file: string | null;
  readonly checkEvery: number;
  readonly shrinkRuns: number;
  readonly onProgress: (progress: ExploreProgress) => void;
}

const OPTIONS = [
  'name',
  'seeds',
  'faults',
  'budget',
  'strategy',
  'readyOrder',
  'simulate',
  'file',
  'checkEvery',
  'shrinkRuns',
  'onProgress',
];
const STRATEGIES: readonly string[] = ['random', 'pct', 'exhaustive'] satisfies StrategyName[];
const SCHEDULES = 1000;
const CHECK_EVERY = 100;
const SHRINK_RUNS = 500;
const ALWAYS: readonly ChoiceKind[] = ['order', 'step', 'timer', 'job', 'resolver', 'delay', 'split'];

/** @param caller the file that has called */
export function searchSettings(
  scenario: Scenario,
  options: ExploreOptions,
  caller: string | null,
): SearchSettings {
  checkFunction('scenario', scenario);
  checkOptions('options', options, OPTIONS);
  const { name = scenario.name || 'scenario', seeds, strategy = 'random', readyOrder = 'fifo' } = options;
  const { simulate = {}, file = caller, checkEvery = CHECK_EVERY, shrinkRuns = SHRINK_RUNS } = options;
  const { onProgress = () => {} } = options;
  checkString('options.name', name);
  if (!STRATEGIES.includes(strategy))
    throw outOfRange('options.strategy', strategy, `one of ${STRATEGIES.join(', ')}`);
  if (readyOrder !== 'fifo' && readyOrder !== 'any')
    throw outOfRange('options.readyOrder', readyOrder, 'fifo or any');
  if (file !== null) checkString('options.file', file);
  checkInteger('options.checkEvery', checkEvery, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('options.shrinkRuns', shrinkRuns, 0, Number.MAX_SAFE_INTEGER);
  checkFunction('options.onProgress', onProgress);
  checkSimulate(simulate);
  return {
    scenario,
    name,
    seeds: checkedSeeds(seeds),
    strategy,
    simulate,
    file,
    checkEvery,
    shrinkRuns,
    onProgress,
    ready: readyOrder === 'any',
    ...checkedBudget(options.budget ?? {}),
    ...checkedFaults(options.faults ?? {}, readyOrder === 'any'),
  };
}

function checkSimulate(simulate: SimulateOptions): void {
  settingsOf(simulate);
  for (const name of ['seed', 'trace', 'traceFile', 'pcap'] as const)
    if (simulate[name] !== undefined)
      throw outOfRange(`options.simulate.${name}`, simulate[name], 'nothing: the search sets it');
}

function checkedSeeds(seeds: readonly number[] | undefined): readonly number[] | null {
  if (seeds === undefined) return null;
  if (!Array.isArray(seeds)) throw invalidArgType('options.seeds', seeds, 'an array of integers');
  if (seeds.length === 0) throw outOfRange('options.seeds', seeds, 'one seed at least');
  for (const [index, seed] of seeds.entries()) checkSeed(`options.seeds[${index}]`, seed);
  return [...seeds];
}

function checkedBudget(budget: ExploreBudget): { schedules: number; seconds: number } {
  checkOptions('options.budget', budget, ['schedules', 'seconds']);
  const { schedules = SCHEDULES, seconds = Number.POSITIVE_INFINITY } = budget;
  checkInteger('options.budget.schedules', schedules, 1, Number.MAX_SAFE_INTEGER);
  checkSeconds('options.budget.seconds', seconds);
  return { schedules, seconds };
}

function checkedFaults(
  faults: ExploreFaults,
  ready: boolean,
): { kinds: ReadonlySet<ChoiceKind>; cancels: ReadonlySet<string> } {
  checkOptions('options.faults', faults, ['datagrams', 'resets', 'cancels']);
  const { datagrams = false, resets = false, cancels = [] } = faults;
  for (const [name, value] of Object.entries({ datagrams, resets }))
    if (typeof value !== 'boolean') throw invalidArgType(`options.faults.${name}`, value, 'a boolean');
  if (!Array.isArray(cancels))
    throw invalidArgType('options.faults.cancels', cancels, 'an array of names of tasks');
  for (const [index, name] of cancels.entries()) checkString(`options.faults.cancels[${index}]`, name);
  const kinds = new Set<ChoiceKind>(ALWAYS);
  if (datagrams) kinds.add('datagram');
  if (resets) kinds.add('reset');
  if (ready) kinds.add('ready');
  if (cancels.length > 0) kinds.add('cancel');
  return { kinds, cancels: new Set(cancels) };
}
