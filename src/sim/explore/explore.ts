/** Searches for a schedule that breaks a scenario. */
import { keepForeignLayer } from '../foreign-layer.ts';
import { checkOutside } from '../world.ts';
import { parseSchedule } from './decisions.ts';
import { ScheduleError } from './errors.ts';
import type { ExploreOptions, SearchSettings } from './options.ts';
import { searchSettings } from './options.ts';
import { callerFile } from './report.ts';
import type { Scenario } from './run.ts';
import type { ExploreReport } from './search.ts';
import { Search } from './search.ts';

/**
 * Runs a scenario under many schedules, and throws when one breaks it.
 *
 * A schedule decides what a program must not rely on: which of two timers with one deadline is first, when a
 * packet, a job of the default executor or the answer of a name look-up comes, where a TCP segment is
 * divided. With `faults` it also loses datagrams, resets connections and cancels tasks. The scenario breaks
 * if it throws, if an `invariant()` does not hold, if nothing can run any more, if a limit passes, or if a
 * loop reports a leak or an exception.
 *
 * The error has the seed and the shortest list of decisions that still breaks the scenario, the trace of this
 * run beside one that passes, and a line that runs it again. With the environment variables `GYRE_SEED` and
 * `GYRE_SCHEDULE` of that line, only that schedule runs; a search of another name runs nothing then.
 *
 * The scenario runs many times in this process, so its state must be made inside of it.
 *
 * @param scenario as for `simulate()`
 * @param options the faults and the strategy of the search, and when it ends
 * @throws ScheduleError
 *
 * @example
 * ```ts
 * import { sleep } from 'gyre';
 * import { explore, invariant } from 'gyre/sim';
 *
 * const report = await explore(
 *   async (world) => {
 *     let balance = 100;
 *     const take = async (seconds: number) => {
 *       await sleep(seconds);
 *       if (balance >= 80) balance -= 80;
 *       invariant(balance >= 0, `the balance is ${balance}`);
 *     };
 *     const host = world.host('bank');
 *     await Promise.all([host.run(() => take(1)), host.run(() => take(1))]);
 *   },
 *   { budget: { schedules: 50 } },
 * );
 * console.log(report.schedules); // 50
 * ```
 */
export async function explore(scenario: Scenario, options: ExploreOptions = {}): Promise<ExploreReport> {
  const settings = searchSettings(scenario, options, callerFile(explore));
  checkOutside();
  const release = settings.simulate.node === false ? () => {} : keepForeignLayer();
  try {
    return await search(settings);
  } finally {
    release();
  }
}

async function search(settings: SearchSettings): Promise<ExploreReport> {
  const asked = environment();
  if (asked === null) return await new Search(settings).run();
  if (asked.schedule === null) return await new Search({ ...settings, seeds: [asked.seed] }).run();
  const { name, decisions } = asked.schedule;
  if (name !== settings.name) return { schedules: 0, complete: false };
  return await new Search(settings).runAgain(asked.seed, decisions);
}

type AskedSchedule = ReturnType<typeof parseSchedule>;

/** Returns the seed and the schedule of the environment, or null. */
function environment(): { readonly seed: number; readonly schedule: AskedSchedule } | null {
  const { GYRE_SEED: seedText, GYRE_SCHEDULE: text } = process.env;
  if (seedText === undefined && text === undefined) return null;
  const invalid = (message: string): ScheduleError =>
    new ScheduleError('ERR_SCHEDULE_INVALID', message, { seed: 0, schedule: text ?? '', decisions: [] });
  if (seedText === undefined) throw invalid('GYRE_SCHEDULE needs GYRE_SEED beside it, the seed of the world');
  const seed = Number(seedText);
  if (!/^\d+$/.test(seedText) || !Number.isSafeInteger(seed))
    throw invalid(`GYRE_SEED must be an integer, and is ${JSON.stringify(seedText)}`);
  if (text === undefined) return { seed, schedule: null };
  const schedule = parseSchedule(text);
  if (schedule === null)
    throw invalid(
      `GYRE_SCHEDULE must be a schedule such as name~timer@host#1=1, and is ${JSON.stringify(text)}`,
    );
  return { seed, schedule };
}
