/**
 * The choices of a world: each place where a simulation could go on in several ways asks here.
 *
 * Without {@link Choices} a world takes option 0 everywhere, which is the usual way: first come first served,
 * no fault, no delay beside those of the seed. So a schedule is a short list of the places where it is not
 * usual.
 */

/**
 * The kinds of choices.
 *
 * - `order`: which of several events of one time happens first: timers, packets, jobs of different owners.
 * - `step`: whether an I/O event or a loop waits for all else that happens at this moment.
 * - `timer`: which of the timers of a loop with the same deadline runs first.
 * - `ready`: which of the ready entries of a turn runs first. Asyncio promises FIFO here.
 * - `job`: how late a job of the default executor ends.
 * - `resolver`: how late the answer of a name look-up comes.
 * - `delay`: how late a packet arrives.
 * - `split`: where a TCP segment is divided in two.
 * - `datagram`: whether a datagram is lost or arrives twice.
 * - `reset`: whether a TCP connection is reset instead of getting a segment.
 * - `cancel`: whether a task is cancelled at an `await`.
 */
export type ChoiceKind =
  | 'order'
  | 'step'
  | 'timer'
  | 'ready'
  | 'job'
  | 'resolver'
  | 'delay'
  | 'split'
  | 'datagram'
  | 'reset'
  | 'cancel';

/** Decides what a world leaves open. */
export interface Choices {
  /**
   * Returns an option from 0 to `count`, without `count`. 0 is the usual one.
   *
   * @param place where the choice is made: the name of a host, a task or a way through the network. It must
   *   be the same in each run
   * @param label returns an option as text. For `order`, `timer` and `ready`, the party that goes first
   */
  choose(kind: ChoiceKind, place: string, count: number, label: (option: number) => string): number;
}

/** Seconds by which something may be late. */
const LATE_SECONDS = [0, 0.001, 0.01, 0.1, 1];

/** Asks how many seconds something is late. */
export function lateBy(choices: Choices | null, kind: ChoiceKind, place: string): number {
  if (choices === null) return 0;
  const label = (option: number): string => `${LATE_SECONDS[option]} s late`;
  return LATE_SECONDS[choices.choose(kind, place, LATE_SECONDS.length, label)] as number;
}
