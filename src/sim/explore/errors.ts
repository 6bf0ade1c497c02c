/** The errors of a search. */
import type { Decision } from './decisions.ts';

/** Codes of {@link ScheduleError}. */
export type ScheduleErrorCode =
  | 'ERR_SCHEDULE_FAILS'
  | 'ERR_SCHEDULE_INVALID'
  | 'ERR_SCHEDULE_NOT_DETERMINISTIC'
  | 'ERR_SCHEDULE_STALE';

/** The facts of a {@link ScheduleError}. */
export interface ScheduleFacts {
  readonly seed: number;
  readonly schedule: string;
  readonly decisions: readonly Decision[];
  readonly cause?: unknown;
}

/**
 * A search has found a schedule that breaks the scenario, or cannot go on.
 *
 * - `ERR_SCHEDULE_FAILS`: the scenario fails with this schedule; `cause` is the failure.
 * - `ERR_SCHEDULE_STALE`: the schedule of `GYRE_SCHEDULE` passes and no longer fits the program. The message
 *   names its first decision that the program did not ask for.
 * - `ERR_SCHEDULE_NOT_DETERMINISTIC`: two runs with one seed and one schedule differ.
 * - `ERR_SCHEDULE_INVALID`: `GYRE_SCHEDULE` or `GYRE_SEED` cannot be read.
 */
export class ScheduleError extends Error {
  override readonly name: string = 'ScheduleError';
  /** The kind of error, for programs. */
  readonly code: ScheduleErrorCode;
  /** The seed of the world. */
  readonly seed: number;
  /** The schedule, as in `GYRE_SCHEDULE`. */
  readonly schedule: string;
  /** The decisions of the schedule that are not the usual ones, in order of time. */
  readonly decisions: readonly Decision[];

  constructor(code: ScheduleErrorCode, message: string, { seed, schedule, decisions, cause }: ScheduleFacts) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.seed = seed;
    this.schedule = schedule;
    this.decisions = decisions;
  }
}
