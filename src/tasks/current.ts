import { currentTaskOrNull, runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { Operation, Task } from './task.ts';

/**
 * The task whose code this is, or null in a callback or outside of a loop.
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
 * The tasks of a loop that are not done.
 *
 * @param loop default: the running loop
 */
export function allTasks(loop: Loop = runningLoop()): Set<Task> {
  const tasks = [...loop._owned.tasks] as unknown as Task[];
  return new Set(tasks.filter((task) => task instanceof Task && !(task instanceof Operation)));
}
