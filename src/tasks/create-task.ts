import { runningLoop } from '../loop/context.ts';
import type { Task, TaskMaker, TaskOptions } from './task.ts';

/**
 * Runs `fn` as a task of the running loop: `getRunningLoop().createTask(fn, options)`.
 *
 * @param fn an async function without arguments, or a promise
 * @param options `name`: shown in reports. `eager: true`: the first step runs now. `signal`: cancels the
 *   task. `context`: the async context in which the task runs
 * @throws TypeError for any other `fn`; LoopError `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** `task.cancel()` makes the current `await` of the task throw a `CancelledError`.
 *
 * @example
 * ```ts
 * import { createTask, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const task = createTask(() => sleep(0.01, 'slept'), { name: 'nap' });
 *   console.log(task.name, await task); // nap slept
 * });
 * ```
 */
export function createTask<T>(
  fn: (() => PromiseLike<T>) | PromiseLike<T>,
  options: TaskOptions = {},
): Task<T> {
  return (runningLoop() as TaskMaker).createTask(fn, options);
}
