/** One search: schedule after schedule, until one fails or the budget is used up. */
import { compareTraces } from '../../backend/sim/trace.ts';
import { hostNow } from '../../base/host.ts';
import type { Decision } from './decisions.ts';
import { formatSchedule } from './decisions.ts';
import { ScheduleError } from './errors.ts';
import type { SearchSettings } from './options.ts';
import { describeDecision, replayLine, sideBySide, story } from './report.ts';
import type { ReplayResult, RunResult } from './run.ts';
import { kindOfFailure, replay, runOnce } from './run.ts';
import type { Chooser } from './schedule-choices.ts';
import { KeptSeeds } from './seeds.ts';
import { shrink } from './shrink.ts';
import type { Strategy } from './strategies.ts';
import { makeStrategy } from './strategies.ts';

/** The result of a search that has found nothing. */
export interface ExploreReport {
  /** The number of schedules that have passed. */
  readonly schedules: number;
  /** Every schedule was tried. Only the strategy `exhaustive` can know. */
  readonly complete: boolean;
}

export class Search {
  readonly #settings: SearchSettings;
  readonly #kept: KeptSeeds;
  #schedules: number = 0;
  #seedIndex: number = 0;
  #strategy: Strategy;

  constructor(settings: SearchSettings) {
    this.#settings = settings;
    this.#kept = new KeptSeeds(settings.file, settings.name);
    this.#strategy = makeStrategy(settings.strategy, settings.seeds?.[0] ?? 1);
  }

  /** Tries the schedules that have failed before, and then new ones. */
  async run(): Promise<ExploreReport> {
    for (const kept of this.#kept.read()) {
      const result = await replay(this.#settings, kept.seed, kept.decisions);
      if (result.failure !== null) throw await this.#failed(kept.seed, result);
      this.#kept.remove(kept);
    }
    const { schedules, seconds, onProgress } = this.#settings;
    const until = hostNow() + seconds * 1000;
    while (this.#schedules < schedules && hostNow() < until) {
      const next = this.#next();
      if (next === null) return { schedules: this.#schedules, complete: true };
      await this.#try(next.seed, next.chooser);
      onProgress({ schedules: this.#schedules, seed: next.seed });
    }
    return { schedules: this.#schedules, complete: false };
  }

  /** Runs the schedule of a replay line. */
  async runAgain(seed: number, decisions: readonly Decision[]): Promise<ExploreReport> {
    const result = await replay(this.#settings, seed, decisions);
    if (result.failure !== null) throw await this.#explain(seed, result, []);
    const { unfit } = result;
    if (unfit !== null) throw this.#stale(seed, decisions, unfit);
    return { schedules: 1, complete: false };
  }

  #next(): { readonly seed: number; readonly chooser: Chooser } | null {
    const { strategy, seeds } = this.#settings;
    if (strategy !== 'exhaustive') {
      const chooser = this.#strategy.next() as Chooser;
      const seed = seeds === null ? this.#schedules + 1 : seeds[this.#schedules % seeds.length];
      return { seed: seed as number, chooser };
    }
    const all = seeds ?? [1];
    for (; this.#seedIndex < all.length; this.#seedIndex++) {
      const chooser = this.#strategy.next();
      const seed = all[this.#seedIndex] as number;
      if (chooser !== null) return { seed, chooser };
      this.#strategy = makeStrategy(strategy, seed);
    }
    return null;
  }

  async #try(seed: number, chooser: Chooser): Promise<void> {
    const { checkEvery } = this.#settings;
    const isChecked = checkEvery > 0 && this.#schedules % checkEvery === 0;
    const result = await runOnce(this.#settings, seed, chooser, isChecked);
    if (isChecked) await this.#checkDeterminism(seed, result);
    if (result.failure !== null) throw await this.#failed(seed, result);
    this.#strategy.passed(result.choices.counts);
    this.#schedules++;
  }

  // --- a failure ---

  async #failed(seed: number, result: RunResult): Promise<ScheduleError> {
    const settings = this.#settings;
    const { decisions } = result.choices;
    const kind = kindOfFailure(result.failure as { error: unknown });
    const fails = async (tried: readonly Decision[]): Promise<readonly Decision[] | null> => {
      const { failure, choices } = await replay(settings, seed, tried);
      return failure !== null && kindOfFailure(failure) === kind ? choices.decisions : null;
    };
    if ((await fails(decisions)) === null) return await this.#notDeterministic(seed, decisions);
    const few = await shrink(decisions, fails, settings.shrinkRuns);
    const again = await replay(settings, seed, few);
    if (again.failure === null) return await this.#notDeterministic(seed, few);
    const head = [
      `found by the strategy ${settings.strategy} behind ${this.#schedules} schedules that pass; ` +
        `${few.length} of ${decisions.length} decisions are needed`,
    ];
    const kept = this.#kept.keep(seed, formatSchedule(settings.name, few));
    if (kept !== null)
      head.push(
        kept.error === null
          ? `kept in ${kept.path}, and tried first the next time`
          : `cannot be kept in ${kept.path}: ${kept.error.message}`,
      );
    return await this.#explain(seed, again, head);
  }

  async #explain(seed: number, result: RunResult, head: readonly string[]): Promise<ScheduleError> {
    const { name, file } = this.#settings;
    const { error } = result.failure as { error: unknown };
    const { decisions } = result.choices;
    const schedule = formatSchedule(name, decisions);
    const lines = [
      `the scenario ${name} fails with seed ${seed}: ${firstLine(error)}`,
      ...head.map((line) => `  (${line})`),
      decisions.length === 0
        ? 'It fails with the usual schedule: every choice is the usual one.'
        : 'The decisions that lead to it:',
      ...story(decisions).map((line) => `  ${line}`),
      ...(await this.#besidePassing(seed, decisions)),
      'Run it again:',
      `  ${replayLine(seed, schedule, file)}`,
    ];
    return new ScheduleError('ERR_SCHEDULE_FAILS', lines.join('\n'), {
      seed,
      schedule,
      decisions,
      cause: error,
    });
  }

  /** Returns the failing run beside the one that passes and has one decision less: the latest that can go. */
  async #besidePassing(seed: number, decisions: readonly Decision[]): Promise<string[]> {
    for (let index = decisions.length - 1; index >= 0; index--) {
      const passing = await replay(this.#settings, seed, decisions.toSpliced(index, 1), true);
      if (passing.failure !== null) continue;
      const failing = await replay(this.#settings, seed, decisions, true);
      return [
        `The run beside the one without decision ${index + 1}, which passes:`,
        ...sideBySide(failing.trace, passing.trace).map((line) => `  ${line}`),
      ];
    }
    return [];
  }

  #stale(seed: number, decisions: readonly Decision[], unfit: Decision): ScheduleError {
    const { name } = this.#settings;
    const message =
      `the schedule no longer fits the program: with seed ${seed}, the scenario ${name} passes, and does not ` +
      `come to decision ${decisions.indexOf(unfit) + 1} of ${decisions.length}: ${describeDecision(unfit)}`;
    const schedule = formatSchedule(name, decisions);
    return new ScheduleError('ERR_SCHEDULE_STALE', message, { seed, schedule, decisions });
  }

  // --- determinism ---

  async #checkDeterminism(seed: number, first: RunResult): Promise<void> {
    const { decisions } = first.choices;
    const second = await replay(this.#settings, seed, decisions, true);
    const difference = differenceOf(first, second);
    if (difference !== null) throw this.#differs(seed, decisions, difference);
  }

  async #notDeterministic(seed: number, decisions: readonly Decision[]): Promise<ScheduleError> {
    const first = await replay(this.#settings, seed, decisions, true);
    const second = await replay(this.#settings, seed, decisions, true);
    const difference = differenceOf(first, second) ?? [
      '  It failed in one run and passed in a later one, and the traces of two later runs are equal.',
    ];
    return this.#differs(seed, decisions, difference);
  }

  #differs(seed: number, decisions: readonly Decision[], difference: readonly string[]): ScheduleError {
    const { name } = this.#settings;
    const message = [
      `two runs of the scenario ${name} with seed ${seed} and one schedule differ:`,
      ...difference,
      '  It depends on a real clock, on unseeded randomness, on another event loop, or on state that outlives',
      '  a run, such as a variable of a module. Make that state inside of the scenario.',
    ].join('\n');
    const schedule = formatSchedule(name, decisions);
    return new ScheduleError('ERR_SCHEDULE_NOT_DETERMINISTIC', message, { seed, schedule, decisions });
  }
}

/** Returns the first difference of two traced runs, or null. */
function differenceOf(first: RunResult, second: ReplayResult): string[] | null {
  const events = compareTraces(first.trace, second.trace);
  const points = firstDifference(first.choices.points ?? [], second.choices.points ?? []);
  if (events !== null)
    return [
      `  at event ${events.index}:`,
      `    first run:  ${events.first ?? '(has ended)'}`,
      `    second run: ${events.second ?? '(has ended)'}`,
    ];
  if (points === null) return null;
  return [
    '  in their choices:',
    `    first run:  ${points[0] ?? '(has ended)'}`,
    `    second run: ${points[1] ?? '(has ended)'}`,
  ];
}

function firstDifference(
  first: readonly string[],
  second: readonly string[],
): [string | undefined, string | undefined] | null {
  const length = Math.max(first.length, second.length);
  for (let index = 0; index < length; index++)
    if (first[index] !== second[index]) return [first[index], second[index]];
  return null;
}

function firstLine(error: unknown): string {
  return String(error).split('\n', 1)[0] as string;
}
