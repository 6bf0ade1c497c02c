/**
 * Shows in DevTools who created a task: its async stacks continue at the call of `createTask()`.
 *
 * In debug mode only, because `console.createTask()` captures a stack, with or without an inspector. Node,
 * Deno and browsers have it; Bun doesn't.
 */

/** The handle that `console.createTask()` returns. */
interface ConsoleTask {
  run<T>(fn: () => T): T;
}

type CreateTask = (name: string) => ConsoleTask;

const consoleTasks: WeakMap<object, ConsoleTask> = new WeakMap();

/** Captures the stack of the creation of `task`. */
export function rememberInDevTools(task: object, name: string): void {
  const { createTask } = console as { createTask?: CreateTask };
  if (createTask !== undefined) consoleTasks.set(task, createTask(name));
}

/** Runs the first step of `task` below the stack of its creation. */
export function runInDevTools(task: object, step: () => void): void {
  const known = consoleTasks.get(task);
  if (known === undefined) step();
  else known.run(step);
}
