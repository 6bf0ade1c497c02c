/** Chooses which of the events of one time happens first. */
import type { DeadlineEntry, DeadlineQueue } from '../../base/deadline-queue.ts';
import type { Choices } from './choices.ts';

/** An event, as a choice sees it. */
interface OwnedEvent<T> extends DeadlineEntry<T> {
  /** Events of one lane keep their order. */
  readonly _lane: unknown;
  readonly _owner: string;
}

/** Further events of one time are not asked for. They come nearer with each event that happens. */
const MOST_OPTIONS = 8;

/**
 * Returns the event that happens first, and leaves the others in the queue.
 *
 * @param first the event that was taken from the queue
 */
export function firstByChoice<T extends OwnedEvent<T>>(
  choices: Choices,
  first: T,
  events: DeadlineQueue<T>,
): T {
  if (events.nextWhen() !== first._when) return first;
  const taken = [first];
  while (taken.length < MOST_OPTIONS && events.nextWhen() === first._when)
    taken.push(events.popDue(first._when) as T);
  const lanes = new Set<unknown>();
  const options = taken.filter(({ _lane }) => !lanes.has(_lane) && lanes.add(_lane));
  const label = (option: number): string => (options[option] as T)._owner;
  const index = options.length === 1 ? 0 : choices.choose('order', 'events', options.length, label);
  const chosen = options[index] as T;
  for (const event of taken) if (event !== chosen) events.push(event);
  return chosen;
}
