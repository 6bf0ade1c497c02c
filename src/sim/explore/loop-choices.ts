/** The choices inside of loops: the order of timers and of ready entries, and cancels of tasks. */
import type { Choices } from '../../backend/sim/choices.ts';
import { Trace } from '../../backend/sim/trace.ts';
import type { EntryChooser, Scheduler } from '../../loop/scheduler.ts';
import type { SimulatedEventLoop } from '../../loops/simulated-event-loop.ts';
import type { Task } from '../../tasks/task.ts';
import { waitOf } from '../waits.ts';

export interface LoopChoiceOptions {
  /** Also searches orders of ready entries. */
  readonly ready: boolean;
  /** The names of tasks that may be cancelled. */
  readonly cancels: ReadonlySet<string>;
}

/**
 * Makes a loop ask for what it leaves open.
 *
 * @param host the place of its choices
 */
export function searchLoop(
  loop: SimulatedEventLoop,
  host: string,
  choices: Choices,
  { ready, cancels }: LoopChoiceOptions,
): void {
  const scheduler = loop._scheduler;
  scheduler.chooser = entryChooser(host, choices, ready);
  if (cancels.size > 0) searchCancels(scheduler, loop, choices, cancels);
}

function entryChooser(host: string, choices: Choices, ready: boolean): EntryChooser {
  const names = new Trace();
  const label = (entry: object): string => {
    const { kind, label } = names.describe(entry);
    return `${kind} ${label}`;
  };
  return {
    chooseTimer: (timers) =>
      choices.choose('timer', host, timers.length, (option) => label(timers[option] as object)),
    arrangeTurn: ready ? (entries) => arrange(entries, host, choices, label) : null,
  };
}

/** Each entry in turn changes places with the one that the choice puts before it. */
function arrange<T extends object>(
  entries: T[],
  host: string,
  choices: Choices,
  label: (entry: object) => string,
): void {
  for (let i = 0; i < entries.length - 1; i++) {
    const option = choices.choose('ready', host, entries.length - i, (one) => label(entries[i + one] as T));
    if (option > 0) entries.splice(i, 0, ...entries.splice(i + option, 1));
  }
}

/**
 * Asks twice at each `await` of a task: when it has begun, and when its future is done and the task has not
 * yet been resumed. These are the first and the last moment at which a cancel can reach it.
 */
function searchCancels(
  scheduler: Scheduler,
  loop: SimulatedEventLoop,
  choices: Choices,
  cancels: ReadonlySet<string>,
): void {
  const begun: WeakSet<object> = new WeakSet();
  const done: WeakSet<object> = new WeakSet();
  const traced = scheduler.observer;
  scheduler.observer = (entry) => {
    for (const owned of [...loop._owned.tasks]) {
      const task = owned as unknown as Task;
      if (!cancels.has(task.name)) continue;
      for (const wait of [...task._scope.waits()]) {
        const asked = wait.woken ? done : begun;
        if (asked.has(wait)) continue;
        asked.add(wait);
        if (isCancelled(choices, task, wait.woken)) task.cancel('cancelled by a schedule');
      }
    }
    traced?.(entry);
  };
}

function isCancelled(choices: Choices, task: Task, isDone: boolean): boolean {
  const label = (option: number): string => {
    if (option === 0) return 'goes on';
    return isDone ? 'is cancelled before it goes on' : `is cancelled while it waits for ${waitOf(task)}`;
  };
  return choices.choose('cancel', task.name, 2, label) === 1;
}
