/** The tasks of all loops, and who waits for whom. */

import type { Loop } from '../loop/types.ts';
import { packageFile } from '../platform/package-files.ts';
import type { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import { Operation } from '../tasks/operation.ts';
import type { Scope } from '../tasks/scope.ts';
import { Task } from '../tasks/task.ts';
import { Waiter } from '../tasks/waiter.ts';
import { openLoops } from './loops.ts';

/** How far operations inside operations are followed. */
export const DEPTH = 32;

/** Returns the pending tasks of a loop, without the operations of the library. */
export function tasksOf(loop: Loop): Task[] {
  const tasks = [...loop._owned.tasks] as unknown as Task[];
  return tasks.filter(isTask).filter((task) => !task.done());
}

/** Returns the pending tasks of all loops of this thread. */
export function everyTask(): Task[] {
  return openLoops().flatMap(tasksOf);
}

/** Returns true for a task of the user. An operation is a part of the task that has called it. */
export function isTask(future: object): future is Task {
  return future instanceof Task && !(future instanceof Operation);
}

/** Returns the scopes of code outside of tasks that waits for something. */
export function looseScopes(loop: Loop): Scope[] {
  return [...loop._owned.loose] as Scope[];
}

/**
 * `task`, `operation` (of the library), `host` (an operation of the system), `waiter` (in a queue),
 * `future`.
 */
export type WaitKind = 'task' | 'operation' | 'host' | 'waiter' | 'future';

export function kindOf(future: Future<unknown>): WaitKind {
  if (future instanceof Operation) return 'operation';
  if (future instanceof Task) return 'task';
  if (future instanceof HostOperation) return 'host';
  return future instanceof Waiter ? 'waiter' : 'future';
}

/** Returns the name of a future without what it waits for: `timeout()` and not `timeout() > sleep(5)`. */
export function nameOf(future: Future<unknown>): string {
  return future instanceof Operation ? `${future.name}()` : future._asWait();
}

/** The futures that a task waits for, and the tasks among them. */
export interface Awaited {
  readonly tasks: Set<Task>;
  /** Also the futures on the way to these tasks: operations, gathers, shields, waits for held locks. */
  readonly futures: Set<Future<unknown>>;
}

/** Follows the waits of a task up to other tasks. */
export function awaitedBy(task: Task): Awaited {
  const tasks: Set<Task> = new Set();
  const futures: Set<Future<unknown>> = new Set();
  const ahead = [...task._waitsFor()];
  for (let future = ahead.pop(); future !== undefined; future = ahead.pop()) {
    if (futures.has(future)) continue;
    futures.add(future);
    if (isTask(future)) tasks.add(future);
    else for (const next of future._waitsFor()) ahead.push(next);
  }
  return { tasks, futures };
}

/** Returns the groups of tasks that wait for each other, each in the order of the waits. */
export function cyclesOf(tasks: readonly Task[]): Task[][] {
  const cycles: Task[][] = [];
  const over: Set<Task> = new Set();
  for (const first of tasks) {
    if (over.has(first)) continue;
    // A depth-first search with a stack of its own: chains of tasks may be of any length.
    const path: { task: Task; awaited: Iterator<Task> }[] = [];
    const positions: Map<Task, number> = new Map();
    const enter = (task: Task): void => {
      positions.set(task, path.length);
      path.push({ task, awaited: awaitedBy(task).tasks.values() });
    };
    enter(first);
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const { value: next, done } = last.awaited.next();
      if (done === true) {
        path.pop();
        positions.delete(last.task);
        over.add(last.task);
        continue;
      }
      const position = positions.get(next);
      if (position !== undefined) cycles.push(path.slice(position).map(({ task }) => task));
      else if (!over.has(next)) enter(next);
    }
  }
  return cycles;
}

/** The folders of the library, as they begin in stacks. None in a bundle, where nothing tells them apart. */
let library: readonly string[] | null = null;

function libraryFolders(): readonly string[] {
  library ??= ['dist', 'src']
    .map((folder) => packageFile(folder))
    .filter((url) => url !== null)
    .flatMap(({ href, pathname }) => [`${href}/`, `${pathname}/`]);
  return library;
}

/**
 * Returns the frames of a stack that are code of the program, as `name (file:line:column)`. If all frames are
 * of the library, as in a bundle, it returns all.
 */
export function framesOf(stack: string | null): string[] {
  if (stack === null) return [];
  const frames = stack
    .split('\n')
    .map((line) => /^\s*at (.*)$/.exec(line)?.[1])
    .filter((frame) => frame !== undefined && !/node:|\(<anonymous>\)$|^native/.test(frame)) as string[];
  const folders = libraryFolders();
  const own = frames.filter((frame) => !folders.some((folder) => frame.includes(folder)));
  return own.length === 0 ? frames : own;
}
