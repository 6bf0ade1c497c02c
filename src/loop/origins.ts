/**
 * Debug mode: where a handle, future, task or transport was created. Kept beside the objects and not in them: one field more in each
 * handle makes scheduling a quarter slower.
 */
import type { ExceptionContext } from './types.ts';

const origins: WeakMap<object, string> = new WeakMap();

/**
 * Remembers the stack of the call that creates `object`.
 *
 * @param below the function or constructor above whose caller the stack begins
 */
export function rememberOrigin(
  object: object,
  below: ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown),
): void {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, below as () => void);
  origins.set(object, (holder.stack ?? '').replace(/^[^\n]*\n/, ''));
}

/** The handle of a task's first step was created where the task was. */
export function copyOrigin(from: object, to: object): void {
  const origin = origins.get(from);
  if (origin !== undefined) origins.set(to, origin);
}

/** The stack, or null outside of debug mode. */
export function originOf(object: object | null): string | null {
  return object === null ? null : (origins.get(object) ?? null);
}

/** Adds to a report where `object` was created, if that is known. */
export function withOrigin(context: ExceptionContext, object: object | null): ExceptionContext {
  const origin = originOf(object);
  return origin === null ? context : { ...context, sourceTraceback: origin };
}
