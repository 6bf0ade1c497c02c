/** The strategies of a search: which schedule to try next. */
import type { ChoiceKind } from '../../backend/sim/choices.ts';
import { Random } from '../../backend/sim/random.ts';
import type { ChoicePoint, Chooser } from './schedule-choices.ts';
import { choosesParty } from './schedule-choices.ts';

/**
 * How `explore()` looks for schedules.
 *
 * - `random`: each choice is usual or not by chance, and each schedule has another probability of that.
 * - `pct`: probabilistic concurrency testing (Burckhardt and others, 2010). Each party has a random priority,
 *   and at a few random points the one that would go first comes last, or a choice is not usual. A bug that
 *   needs d decisions among n parties and k choices is found by at least one of n·k^(d-1) schedules on
 *   average.
 * - `exhaustive`: every schedule with no decision that is not usual, then with one, with two and so on.
 */
export type StrategyName = 'random' | 'pct' | 'exhaustive';

export interface Strategy {
  /** Returns the next schedule, or null if all were tried. */
  next(): Chooser | null;
  /** Reports how the schedule went: for each point, in order, the number of options. */
  passed(counts: readonly number[]): void;
}

/** @param seed the schedules follow from it */
export function makeStrategy(name: StrategyName, seed: number): Strategy {
  if (name === 'exhaustive') return exhaustive();
  const random = new Random(seed).fork(`strategy ${name}`);
  return name === 'pct' ? pct(random) : randomWalk(random);
}

const usual: Chooser = () => 0;

/** The kinds that break something, so that a few of them are enough. */
const FAULTS: ReadonlySet<ChoiceKind> = new Set(['datagram', 'reset', 'cancel']);
const RATES = [0.5, 0.2, 0.1, 0.03];
const FAULT_RATES = [0, 0.3, 0.1, 0.03];

/** The first schedule is the usual one. */
function randomWalk(random: Random): Strategy {
  let isFirst = true;
  const next = (): Chooser => {
    if (isFirst) {
      isFirst = false;
      return usual;
    }
    const rate = RATES[random.integer(RATES.length)] as number;
    const faultRate = FAULT_RATES[random.integer(FAULT_RATES.length)] as number;
    return ({ kind, count }) =>
      random.chance(FAULTS.has(kind) ? faultRate : rate) ? 1 + random.integer(count - 1) : 0;
  };
  return { next, passed: () => {} };
}

/** Changes of priority in a schedule: this many at most. */
const MOST_CHANGES = 4;

function pct(random: Random): Strategy {
  /** The number of points of a run, as far as it is known. */
  let points = 0;
  let isFirst = true;
  const next = (): Chooser => {
    if (isFirst) {
      isFirst = false;
      return usual;
    }
    const changes = new Set<number>();
    for (let left = random.integer(MOST_CHANGES + 1); left > 0; left--) changes.add(random.integer(points));
    return byPriority(random, changes);
  };
  const passed = ({ length }: readonly number[]): void => {
    points = Math.max(points, length);
  };
  return { next, passed };
}

function byPriority(random: Random, changes: ReadonlySet<number>): Chooser {
  const priorities = new Map<string, number>();
  let lowest = 0;
  const priorityOf = (party: string): number => {
    const known = priorities.get(party) ?? random.next();
    priorities.set(party, known);
    return known;
  };
  const first = ({ count, label }: ChoicePoint): number => {
    let best = 0;
    for (let option = 1; option < count; option++)
      if (priorityOf(label(option)) > priorityOf(label(best))) best = option;
    return best;
  };
  return (point) => {
    const isChange = changes.has(point.index);
    if (!choosesParty(point.kind)) return isChange ? 1 + random.integer(point.count - 1) : 0;
    if (isChange) priorities.set(point.label(first(point)), --lowest);
    return first(point);
  };
}

/** The decisions of a schedule that are not usual, the last one first. */
interface Deviation {
  readonly index: number;
  readonly choice: number;
  readonly before: Deviation | null;
}

/** A schedule waits for its turn: all with one deviation before all with two. */
function exhaustive(): Strategy {
  let waiting: (Deviation | null)[] = [null];
  let following: Deviation[] = [];
  let current: Deviation | null = null;
  const next = (): Chooser | null => {
    if (waiting.length === 0) {
      waiting = following.reverse();
      following = [];
    }
    const deviation = waiting.pop();
    if (deviation === undefined) return null;
    current = deviation;
    const choices = new Map<number, number>();
    for (let one = deviation; one !== null; one = one.before) choices.set(one.index, one.choice);
    return ({ index, count }) => Math.min(choices.get(index) ?? 0, count - 1);
  };
  const passed = (counts: readonly number[]): void => {
    for (let index = (current?.index ?? -1) + 1; index < counts.length; index++)
      for (let choice = 1; choice < (counts[index] as number); choice++)
        following.push({ index, choice, before: current });
  };
  return { next, passed };
}
