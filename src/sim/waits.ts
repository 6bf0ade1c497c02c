/** Describes what the tasks of a loop wait for, for a simulation that cannot go on. */
import { originOf } from '../loop/creation.ts';
import type { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';
import type { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import { Operation } from '../tasks/operation.ts';
import { PendingAwait } from '../tasks/pending-await.ts';
import type { Scope } from '../tasks/scope.ts';
import { Task } from '../tasks/task.ts';
import { Waiter } from '../tasks/waiter.ts';

/** How far a chain of tasks and operations is followed. */
const DEPTH = 8;

/**
 * Returns one text for each pending task: `task main waits for a Queue`. In debug mode it ends with the stack
 * of the task's creation.
 */
export function waitsOf(loop: SimulatedEventLoop): string[] {
  const tasks = ([...loop._owned.tasks] as unknown as Task[]).filter((task) => !(task instanceof Operation));
  const loose = ([...loop._owned.loose] as Scope[]).map(
    (scope) => `code of no task waits for ${inScope(scope, DEPTH)}`,
  );
  return [...tasks.map(describeTask), ...loose];
}

/** Returns what a task waits for, as text: `a Queue`. */
export function waitOf(task: Task): string {
  return inScope(task._scope, DEPTH);
}

function describeTask(task: Task): string {
  const origin = originOf(task);
  const line = `task ${task.name} waits for ${inScope(task._scope, DEPTH)}`;
  return origin === null ? line : `${line}, created at\n${origin}`;
}

function inScope(scope: Scope, depth: number): string {
  const waits = [...scope.waits()].map((wait) =>
    wait instanceof PendingAwait ? describeFuture(wait.future, depth) : 'a future',
  );
  if (waits.length === 0) return 'a promise that is no future of a loop';
  return [...new Set(waits)].join(' and ');
}

function describeFuture(future: Future, depth: number): string {
  if (future instanceof Operation) {
    const inner = depth === 0 ? '' : `, which waits for ${inScope(future._scope, depth - 1)}`;
    return `${future.name}()${inner}`;
  }
  if (future instanceof Task) return `task ${future.name}`;
  if (future instanceof HostOperation) return future._describe().replace(/ was still under way$/, '');
  if (future instanceof Waiter) return `a ${(future._owner as object).constructor.name}`;
  const origin = originOf(future);
  return origin === null ? 'a future' : `a future created at\n${origin}`;
}
