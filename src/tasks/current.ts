import { invalidArgType } from '../base/validate.ts';
import { currentTaskOrNull, runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { Operation } from './operation.ts';
import { Task } from './task.ts';

/**
 * Returns the task that runs the calling code, or null in a callback and outside of a loop.
 *
 * @example
 * ```ts
 * import { currentTask, run } from 'gyre';
 *
 * await run(async () => {
 *   console.log(currentTask()?.name); // main
 * });
 * ```
 */
export function currentTask(): Task | null {
  return currentTaskOrNull() as Task | null;
}

/**
 * Returns the tasks of a loop that are not done.
 *
 * @param loop default: the running loop
 *
 * @example
 * ```ts
 * import { allTasks, run } from 'gyre';
 *
 * await run(async () => {
 *   for (const task of allTasks()) console.log(task.name); // main
 * });
 * ```
 */
export function allTasks(loop: Loop = runningLoop()): Set<Task> {
  checkLoop('loop', loop);
  const tasks = [...loop._owned.tasks] as unknown as Task[];
  return new Set(tasks.filter((task) => task instanceof Task && !(task instanceof Operation)));
}

export function checkLoop(name: string, value: unknown): void {
  if (typeof value === 'object' && value !== null && '_scheduler' in value) return;
  throw invalidArgType(name, value, 'an event loop');
}
