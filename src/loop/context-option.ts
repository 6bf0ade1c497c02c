/** The option `context` of the functions that run user code later: asyncio's `context=`. */
import { checkFunction, invalidArgType } from '../base/validate.ts';

/**
 * Calls `fn(...args)` in an async context that was captured before, and returns its result.
 * `AsyncLocalStorage.snapshot()` of `node:async_hooks` captures the context of its caller.
 */
export type ContextSnapshot = <A extends unknown[], R>(fn: (...args: A) => R, ...args: A) => R;

/** The options of functions that run user code in an async context. */
export interface ContextOptions {
  /**
   * The async context (the values of every `AsyncLocalStorage`) in which the code runs: the result of
   * `AsyncLocalStorage.snapshot()`. Default: the context of the call.
   *
   * @example
   * ```ts
   * import { AsyncLocalStorage } from 'node:async_hooks';
   * import { createTask, run } from 'gyre';
   *
   * const user = new AsyncLocalStorage<string>();
   * const context = user.run('ada', () => AsyncLocalStorage.snapshot());
   * await run(async () => {
   *   console.log(await createTask(async () => user.getStore(), { context })); // ada
   * });
   * ```
   */
  context?: ContextSnapshot;
}

/** Refuses a function that does not call its argument, because the code would never run. */
export function checkContext(name: string, context: ContextSnapshot | undefined): void {
  if (context === undefined) return;
  checkFunction(name, context);
  if (context(() => true) === true) return;
  throw invalidArgType(
    name,
    context,
    'a function that calls its argument, as of AsyncLocalStorage.snapshot()',
  );
}

/** Calls `fn` in `context`, or where it stands if there is none. */
export function inContext<R>(context: ContextSnapshot | undefined, fn: () => R): R {
  return context === undefined ? fn() : context(fn);
}
