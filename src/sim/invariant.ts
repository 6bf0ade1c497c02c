/** Conditions that must hold in every schedule. */
import type { Timeline } from '../backend/sim/timeline.ts';
import { checkString } from '../base/validate.ts';
import { currentPlace } from './place.ts';

/** A condition of {@link invariant} did not hold. */
export class InvariantError extends Error {
  override readonly name: string = 'InvariantError';
  /** The kind of error, for programs. */
  readonly code: 'ERR_INVARIANT' = 'ERR_INVARIANT';
}

const failures: WeakMap<Timeline, (error: InvariantError) => void> = new WeakMap();

/** From now on, `fail` gets each broken invariant of code in the world of `timeline`. */
export function watchInvariants(timeline: Timeline, fail: (error: InvariantError) => void): void {
  failures.set(timeline, fail);
}

/**
 * Throws if a condition does not hold. In a simulation this also fails the simulation, even if the code
 * around it catches the error. So it can be in the middle of a program that must survive errors.
 *
 * @param condition anything that is true or false
 * @param message which condition is broken
 * @throws InvariantError
 *
 * @example
 * ```ts
 * import { invariant } from 'gyre/sim';
 *
 * const holders = new Set(['worker 1']);
 * invariant(holders.size <= 1, `the lock has ${holders.size} holders`);
 * ```
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (condition) return;
  checkString('message', message);
  const error = new InvariantError(message);
  const place = currentPlace();
  if (place !== null) failures.get(place.kernel.host.timeline)?.(error);
  throw error;
}
