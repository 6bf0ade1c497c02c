/** asyncio's questions about values: `isfuture`, `iscoroutine`, `iscoroutinefunction`. */
import { isAwaitable } from './ensure-future.ts';
import { Future } from './future.ts';

/**
 * Returns true for a {@link Future}, and so for a `Task`. A promise of the host is no future: see
 * `ensureFuture()`.
 *
 * @param value any value
 *
 * @example
 * ```ts
 * import { isfuture, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   console.log(isfuture(sleep(0)), isfuture(Promise.resolve())); // true false
 * });
 * ```
 */
export function isfuture(value: unknown): value is Future<unknown> {
  return value instanceof Future;
}

/**
 * Returns true for a value that can be awaited and that is no {@link Future}: a promise, or any object with
 * `then()`. A call of an async function returns one, as a call of a coroutine function does in Python.
 *
 * @param value any value
 *
 * @example
 * ```ts
 * import { iscoroutine } from 'gyre';
 *
 * console.log(iscoroutine(Promise.resolve()), iscoroutine(5)); // true false
 * ```
 */
export function iscoroutine(value: unknown): value is PromiseLike<unknown> {
  return isAwaitable(value) && !isfuture(value);
}

/**
 * Returns true for a function that was written with `async`. A plain function may return a promise, too, so
 * false does not mean that there is nothing to await.
 *
 * @param value any value
 *
 * @example
 * ```ts
 * import { iscoroutinefunction } from 'gyre';
 *
 * console.log(iscoroutinefunction(async () => {}), iscoroutinefunction(() => {})); // true false
 * ```
 */
export function iscoroutinefunction(value: unknown): value is (...args: never[]) => Promise<unknown> {
  return typeof value === 'function' && Object.prototype.toString.call(value) === '[object AsyncFunction]';
}
