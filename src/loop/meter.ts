/**
 * Measures the turns of a loop in every mode, and notices code that holds the loop.
 *
 * The pump reads the clock once in several turns, so the meter gets stretches of turns. If a stretch with
 * several entries was too long, nobody knows which of them it was. Then the pump times each entry for a
 * while, and the meter names the next one.
 */
import { HELD_LOOP_SECONDS, SLOW_CALLBACK_SECONDS } from '../base/constants.ts';
import { brief, counted } from '../base/one-line.ts';
import { Histogram } from './histogram.ts';
import type { TaskLike } from './types.ts';

/** Seconds for which each entry is timed after a long turn of several entries. */
const SECONDS_OF_TIMING = 10;
/** Seconds between two reports. */
const REPORT_SECONDS = 1;
/** Seconds: tenths of a microsecond. */
const TIME_UNIT = 1e-7;

/** Code that has held a loop for longer than `loop.slowCallbackDuration`. */
export interface HeldLoop {
  readonly seconds: number;
  /** `task 'a'`, `callback f`; `one of 3 entries of a turn` if it is not known. */
  readonly by: string;
  /** The time at which it was noticed, on the clock of the loop. */
  readonly at: number;
}

/** A ready entry, or the scope of the code that a wake-up has resumed, as far as its name is concerned. */
interface Named {
  readonly _task?: TaskLike | null;
  readonly _callback?: { readonly name: string } | null;
  readonly _args?: readonly unknown[];
}

export class LoopMeter {
  readonly turn: Histogram = new Histogram(TIME_UNIT);
  readonly ready: Histogram = new Histogram(1);
  /** The time between two calls of the host: it polls for I/O, calls protocols, and runs other code. */
  readonly host: Histogram = new Histogram(TIME_UNIT);
  /** Seconds. A longer stretch counts as held. */
  limit: number = SLOW_CALLBACK_SECONDS;
  /** Seconds. A longer stretch that counts as held is reported, too. */
  reportFrom: number = HELD_LOOP_SECONDS;
  /** Called when the loop was held, at most once a second; null: nobody wants reports. */
  report: ((held: HeldLoop) => void) | null = null;
  heldCount: number = 0;
  heldSeconds: number = 0;
  longest: HeldLoop | null = null;
  last: HeldLoop | null = null;
  /** The pump times each entry until this time of the loop. */
  timesUntil: number = Number.NEGATIVE_INFINITY;
  #reportedAt: number = Number.NEGATIVE_INFINITY;

  /**
   * Records turns that have followed each other.
   *
   * @param entries the number of entries in these turns
   * @param lastRun the last entry, or the scope that it has resumed
   * @param now the end of the stretch
   */
  stretch(seconds: number, turns: number, entries: number, lastRun: object | null, now: number): void {
    this.turn.add(seconds / turns, turns);
    if (seconds < this.limit || now < this.timesUntil) return;
    if (entries > 1) this.timesUntil = now + SECONDS_OF_TIMING;
    this.#held(
      seconds,
      entries > 1 ? `one of ${counted(entries, 'entry', 'entries')} of a turn` : nameOf(lastRun),
      now,
    );
  }

  /** Records one entry, while entries are timed. */
  entry(seconds: number, lastRun: object | null, now: number): void {
    if (seconds >= this.limit) this.#held(seconds, nameOf(lastRun), now);
  }

  #held(seconds: number, by: string, at: number): void {
    const held: HeldLoop = { seconds, by, at };
    this.heldCount++;
    this.heldSeconds += seconds;
    this.last = held;
    if (this.longest === null || seconds > this.longest.seconds) this.longest = held;
    if (this.report === null || seconds < this.reportFrom) return;
    if (at - this.#reportedAt < REPORT_SECONDS) return;
    this.#reportedAt = at;
    this.report(held);
  }
}

function nameOf(lastRun: object | null): string {
  const { _task, _callback, _args } = (lastRun ?? {}) as Named;
  if (_task) return `task ${brief(_task.name)}`;
  const task = _args?.[0] as { _scope?: unknown; name?: string } | undefined;
  // The first step of a task is a callback of the library.
  if (task?._scope !== undefined) return `task ${brief(task.name)}`;
  if (_callback) return `callback ${brief(_callback)}`;
  return 'code of no task';
}
