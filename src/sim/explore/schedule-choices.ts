/** The choices of one run: asks a function for each, and records the answers. */
import type { ChoiceKind, Choices } from '../../backend/sim/choices.ts';
import type { Decision } from './decisions.ts';
import { keyOf } from './decisions.ts';

/** A place where the world leaves something open, as a strategy sees it. */
export interface ChoicePoint {
  readonly kind: ChoiceKind;
  readonly place: string;
  /** Its number among the points of this kind at this place, from 1. */
  readonly number: number;
  /** Its number among all points of the run, from 0. */
  readonly index: number;
  /** The number of options. */
  readonly count: number;
  /** Returns an option as text. */
  label(option: number): string;
}

/** Returns the option to take: 0 is the usual one. */
export type Chooser = (point: ChoicePoint) => number;

/** The kinds that choose the party that goes first. */
const ORDERS: ReadonlySet<ChoiceKind> = new Set(['order', 'timer', 'ready']);

export function choosesParty(kind: ChoiceKind): boolean {
  return ORDERS.has(kind);
}

export class ScheduleChoices implements Choices {
  /** The decisions that are not usual. */
  readonly decisions: Decision[] = [];
  /** The number of options of each point, in order of time. */
  readonly counts: number[] = [];
  /** Each point as text, if they are kept: for the comparison of two runs. */
  readonly points: string[] | null;
  readonly #chooser: Chooser;
  readonly #kinds: ReadonlySet<ChoiceKind>;
  readonly #numbers: Map<string, number> = new Map();
  /** Called with each decision that is not usual. */
  onDecision: (decision: Decision) => void = () => {};

  /** @param kinds those that are searched. All others stay as usual */
  constructor(chooser: Chooser, kinds: ReadonlySet<ChoiceKind>, keepPoints: boolean = false) {
    this.#chooser = chooser;
    this.#kinds = kinds;
    this.points = keepPoints ? [] : null;
  }

  choose(kind: ChoiceKind, place: string, count: number, label: (option: number) => string): number {
    if (!this.#kinds.has(kind)) return 0;
    const lane = `${kind}@${place}`;
    const number = (this.#numbers.get(lane) ?? 0) + 1;
    this.#numbers.set(lane, number);
    const choice = this.#chooser({ kind, place, number, index: this.counts.length, count, label });
    this.counts.push(count);
    this.points?.push(`${lane} number ${number} of ${count} options`);
    if (choice > 0) this.#decided({ kind, place, number, choice, text: textOf(kind, choice, label) });
    return choice;
  }

  #decided(decision: Decision): void {
    this.decisions.push(decision);
    this.onDecision(decision);
  }
}

function textOf(kind: ChoiceKind, choice: number, label: (option: number) => string): string {
  return choosesParty(kind) ? `${label(choice)} before ${label(0)}` : label(choice);
}

/** Chooses as a list of decisions says, and as usual elsewhere. */
export class Replay {
  readonly #choices: Map<string, number>;
  readonly #decisions: readonly Decision[];
  readonly #taken: Set<string> = new Set();

  constructor(decisions: readonly Decision[]) {
    this.#decisions = decisions;
    this.#choices = new Map(
      decisions.map(({ kind, place, number, choice }) => [keyOf(kind, place, number), choice]),
    );
  }

  readonly choose: Chooser = ({ kind, place, number, count }) => {
    const key = keyOf(kind, place, number);
    const choice = this.#choices.get(key);
    if (choice === undefined || choice >= count) return 0;
    this.#taken.add(key);
    return choice;
  };

  /** Returns the first decision that the run did not ask for, or for which it had fewer options; or null. */
  get unfit(): Decision | null {
    return this.#decisions.find((one) => !this.#taken.has(keyOf(one.kind, one.place, one.number))) ?? null;
  }
}
