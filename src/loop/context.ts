/**
 * Answers which loop is running and which task is current. Only this file uses `node:async_hooks`.
 *
 * It has two sources, because JavaScript has two kinds of code:
 * - While a callback of a loop is on the stack, `syncLoop` and `syncEntry` name the loop and the entry. They
 *   are exact: a callback has no current task, even if a task scheduled it.
 * - Code that continues after an `await` runs later, in a microtask, and no code of the loop is on the stack
 *   then. There the async context answers: each task runs its function inside its own entry, and every
 *   `await` in it inherits that entry.
 *
 * An async function that a callback starts inherits the callback's context. So it counts as part of the task
 * that scheduled the callback, like a helper that the task started and did not await.
 */
import { AsyncLocalStorage, AsyncResource, createHook } from 'node:async_hooks';
import { LoopError } from '../base/errors.ts';
import type { ContextEntry, Loop, TaskLike } from './types.ts';

const storage: AsyncLocalStorage<ContextEntry | undefined> = new AsyncLocalStorage();
let syncLoop: Loop | null = null;
let syncEntry: ContextEntry | null = null;

/**
 * The base class of everything that runs user code later. The constructor captures the async context,
 * including the user's `AsyncLocalStorage` stores. It is a base class and not a field, which saves an object
 * for every scheduled callback.
 *
 * Its cost determines the cost of `callSoon` (48 ns on Node 20); `AsyncLocalStorage.snapshot()` costs 7,000
 * ns there. Don't pass `requireManualDestroy`: it saves nothing, and code that tracks resources with async
 * hooks (`node:test` does) would never release them.
 */
export const CapturedContext: new () => CapturedContext = class extends AsyncResource {
  constructor() {
    super('GYRE', ROOT_TRIGGER);
  }
};

/**
 * A fixed trigger id. Looking it up would make a handle 10 % slower, and nothing here uses it. The captured
 * context does not depend on it.
 */
const ROOT_TRIGGER = 1;

/** The instance type of {@link CapturedContext}. */
export interface CapturedContext {
  /** @internal */
  runInAsyncScope<A extends unknown[], R>(fn: (...args: A) => R, thisArg: unknown, ...args: A): R;
}

/**
 * Captures the current context, but as code of `loop` outside of any task. The callbacks of a connection run
 * in it.
 */
export function captureContext(loop: Loop): CapturedContext {
  return storage.run(loop._context, () => new CapturedContext());
}

/**
 * Marks the stack as code of `loop` outside of any task, until {@link leaveLoop}. For the scheduler, at the
 * bottom of the stack.
 */
export function enterLoop(loop: Loop): void {
  syncLoop = loop;
  syncEntry = null;
}

export function leaveLoop(): void {
  syncLoop = null;
  syncEntry = null;
}

/** Runs `fn(arg)` as synchronous code of `loop`, outside of any task. */
export function runInLoop<A, R>(loop: Loop, fn: (arg: A) => R, arg: A): R {
  const previousLoop = syncLoop;
  const previousEntry = syncEntry;
  syncLoop = loop;
  syncEntry = null;
  try {
    return fn(arg);
  } finally {
    syncLoop = previousLoop;
    syncEntry = previousEntry;
  }
}

/** Does the same in the async context that `context` has captured. */
export function runInContext<A extends unknown[], R>(
  loop: Loop,
  context: CapturedContext,
  fn: (...args: A) => R,
  ...args: A
): R {
  const previousLoop = syncLoop;
  const previousEntry = syncEntry;
  syncLoop = loop;
  syncEntry = null;
  try {
    return context.runInAsyncScope(fn, undefined, ...args);
  } finally {
    syncLoop = previousLoop;
    syncEntry = previousEntry;
  }
}

/**
 * Runs `fn(...args)`, and all code that continues it, as code of `entry`. For the first step of a task and
 * the body of a timeout.
 */
export function runInEntry<A extends unknown[], R>(
  entry: ContextEntry,
  fn: (...args: A) => R,
  ...args: A
): R {
  const previousLoop = syncLoop;
  const previousEntry = syncEntry;
  syncLoop = entry._loop;
  syncEntry = entry;
  try {
    return storage.run(entry, fn, ...args);
  } finally {
    syncLoop = previousLoop;
    syncEntry = previousEntry;
  }
}

/**
 * Runs `fn`, and all code that continues it, as code of no loop. For the programs of a simulated host, which
 * start outside of every loop, as a process does.
 */
export function runOutsideLoops<R>(fn: () => R): R {
  const previousLoop = syncLoop;
  const previousEntry = syncEntry;
  syncLoop = null;
  syncEntry = null;
  try {
    // Not exit(): on Deno, code behind an await would be back in the context before.
    return storage.run(undefined, fn);
  } finally {
    syncLoop = previousLoop;
    syncEntry = previousEntry;
  }
}

/**
 * Calls `fn(arg)` inside a captured context. A context that was captured outside of the loop names no loop,
 * or another loop; async code that `fn` starts must find this loop. Entering costs 200 ns on Node 24 and
 * later, so it is done only if necessary.
 */
export function callInContext<A, R>(fn: (arg: A) => R, arg: A): R {
  const entry = storage.getStore();
  const loop = syncLoop as Loop;
  if (entry !== undefined && entry._loop === loop) return fn(arg);
  return storage.run(loop._context, fn, arg);
}

/** Returns the loop that runs the calling code, or null. */
export function runningLoopOrNull(): Loop | null {
  if (syncLoop !== null) return syncLoop;
  const loop = storage.getStore()?._loop;
  return loop?.isRunning() ? loop : null;
}

/** Returns the running loop. For lower layers: the public function is in policy.ts, with the public type. */
export function runningLoop(): Loop {
  const loop = runningLoopOrNull();
  if (loop === null) {
    throw new LoopError(
      'ERR_NO_RUNNING_LOOP',
      'no event loop is running here: call this from a callback or task of a loop, or name the loop',
    );
  }
  return loop;
}

/** Returns the innermost entry of the calling code, or null outside of every loop. */
export function currentEntry(): ContextEntry | null {
  if (syncLoop !== null) return syncEntry ?? syncLoop._context;
  return storage.getStore() ?? null;
}

/** Returns the task that runs the calling code, or null. */
export function currentTaskOrNull(): TaskLike | null {
  return currentEntry()?._task ?? null;
}

/**
 * In debug mode, calls `report(entry, seconds)` after each piece of a task's code between two awaits. Works
 * on Node and Deno only; Bun never calls the hooks. Returns a function that ends the watch.
 */
export function watchContinuations(
  time: () => number,
  report: (entry: ContextEntry, seconds: number) => void,
): () => void {
  const started: number[] = [];
  const hook = createHook({
    before: () => {
      started.push(time());
    },
    after: () => {
      const since = started.pop();
      const entry = storage.getStore();
      if (since !== undefined && entry?._task) report(entry, time() - since);
    },
  });
  hook.enable();
  return () => {
    hook.disable();
  };
}
