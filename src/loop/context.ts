/**
 * Which loop is running, which task is current: the only place that knows `node:async_hooks`.
 *
 * Two sources, because JavaScript has two kinds of code:
 * - While a callback of a loop is on the stack, `syncLoop` and `syncEntry` say so. They are exact: in a
 *   callback there is no current task, even if a task scheduled it.
 * - Code that continues after an `await` runs later, in a microtask, with nothing of ours on the stack. There
 *   the async context answers: each task runs its function inside its own entry, and every `await` in it
 *   inherits that.
 *
 * An async function that a callback starts inherits the callback's context, so it counts as part of the task
 * that scheduled the callback, as a helper that this task started and did not await would.
 */
import { AsyncLocalStorage, AsyncResource, createHook } from 'node:async_hooks';
import { LoopError } from '../base/errors.ts';
import type { ContextEntry, Loop, TaskLike } from './types.ts';

const storage: AsyncLocalStorage<ContextEntry> = new AsyncLocalStorage();
let syncLoop: Loop | null = null;
let syncEntry: ContextEntry | null = null;

/**
 * The base class of everything that runs user code later: what it captures when it is constructed is the
 * async context, the user's `AsyncLocalStorage` stores included. Inherited, not held: one object less for
 * every scheduled callback.
 *
 * Its cost decides the cost of `callSoon` (48 ns on Node 20); `AsyncLocalStorage.snapshot()` costs 7,000 ns
 * there. Don't pass `requireManualDestroy`: it saves nothing, and whoever tracks resources by hooks
 * (`node:test` does) would never let one go.
 */
export const CapturedContext: new () => CapturedContext = class extends AsyncResource {
  constructor() {
    super('GYRE', ROOT_TRIGGER);
  }
};

/**
 * Said instead of asked: who triggered what is asked by nobody here, and asking makes a handle a tenth
 * dearer. The context itself does not depend on it.
 */
const ROOT_TRIGGER = 1;

/** See {@link CapturedContext}: the constructor. */
export interface CapturedContext {
  /** @internal */
  runInAsyncScope<A, R>(fn: (arg: A) => R, thisArg: unknown, arg: A): R;
}

/**
 * Captures the current context, but as code of `loop` outside any task: what a connection's callbacks run in.
 */
export function captureContext(loop: Loop): CapturedContext {
  return storage.run(loop._context, () => new CapturedContext());
}

/**
 * From now on the stack is code of `loop`, outside any task: until {@link leaveLoop}. For the scheduler, at
 * the bottom of the stack.
 */
export function enterLoop(loop: Loop): void {
  syncLoop = loop;
  syncEntry = null;
}

export function leaveLoop(): void {
  syncLoop = null;
  syncEntry = null;
}

/** Runs `fn(arg)` as synchronous code of `loop`, outside any task. */
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

/**
 * Runs `fn` as code of `entry`, and with it all that continues it: the first step of a task, the body of a
 * timeout.
 */
export function runInEntry<R>(entry: ContextEntry, fn: () => R): R {
  const previousLoop = syncLoop;
  const previousEntry = syncEntry;
  syncLoop = entry._loop;
  syncEntry = entry;
  try {
    return storage.run(entry, fn);
  } finally {
    syncLoop = previousLoop;
    syncEntry = previousEntry;
  }
}

/**
 * Calls `fn(arg)` from within a captured context. A context captured outside of the loop names no loop (or
 * another one); async code that `fn` starts must find this one. Entering costs 200 ns on Node 24 and later,
 * so only then.
 */
export function callInContext<A, R>(fn: (arg: A) => R, arg: A): R {
  const entry = storage.getStore();
  const loop = syncLoop as Loop;
  if (entry !== undefined && entry._loop === loop) return fn(arg);
  return storage.run(loop._context, fn, arg);
}

/** The loop whose code this is, or null. */
export function runningLoopOrNull(): Loop | null {
  if (syncLoop !== null) return syncLoop;
  const loop = storage.getStore()?._loop;
  return loop?.isRunning() ? loop : null;
}

/** The running loop, for lower layers; the public name is in policy.ts, with the public type. */
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

/** The innermost entry whose code this is; null outside of every loop. */
export function currentEntry(): ContextEntry | null {
  if (syncLoop !== null) return syncEntry ?? syncLoop._context;
  return storage.getStore() ?? null;
}

/** The task whose code this is, or null. */
export function currentTaskOrNull(): TaskLike | null {
  return currentEntry()?._task ?? null;
}

/**
 * Debug mode: calls `report(entry, seconds)` for each stretch of code that continues after an `await` of a
 * task and holds the thread. Node and Deno only; Bun never calls the hooks. Answers a function that ends the
 * watch.
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
