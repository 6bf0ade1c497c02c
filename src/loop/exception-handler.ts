/** Reports exceptions that no caller can catch. */
import type { ExceptionContext, Loop } from './types.ts';

export type ExceptionHandler = (loop: Loop, context: ExceptionContext) => void;

/**
 * Prints the context to standard error: the message, the objects concerned, and the exception with its stack.
 */
export function printException(context: ExceptionContext): void {
  const { message, exception, sourceTraceback, ...rest } = context;
  const lines = [`gyre: ${message}`];
  for (const [field, value] of Object.entries(rest)) {
    if (value !== undefined && value !== null) lines.push(`  ${line(field, value)}`);
  }
  if (sourceTraceback !== undefined) lines.push(`  created at (most recent call first):\n${sourceTraceback}`);
  if (exception === undefined) console.error(lines.join('\n'));
  else console.error(lines.join('\n'), exception);
}

/**
 * Calls the user's handler. If the handler throws, its exception is reported, and the original one is
 * printed.
 */
export function handleException(
  loop: Loop,
  handler: ExceptionHandler | null,
  fallback: (context: ExceptionContext) => void,
  context: ExceptionContext,
): void {
  if (handler !== null) {
    try {
      const result = handler(loop, context) as unknown;
      if (result instanceof Promise) result.catch(printHandlerFailure);
      return;
    } catch (exception) {
      printHandlerFailure(exception);
    }
  }
  try {
    fallback(context);
  } catch (exception) {
    printException({ message: 'exception in the default exception handler', exception });
  }
}

function printHandlerFailure(exception: unknown): void {
  printException({ message: 'exception in the exception handler', exception });
}

/**
 * Prints values that the library wrote as text in full. For other values it prints class and name only,
 * because they may be of any size.
 */
function line(field: string, value: unknown): string {
  if (field === 'owner') return `made by: task ${String(value)}`;
  if (field === 'ageSeconds' && typeof value === 'number') return `age: ${value.toFixed(3)} seconds`;
  if (field === 'tasks' && Array.isArray(value)) return `tasks: ${value.map(describe).join(', ')}`;
  if (field === 'left' && Array.isArray(value)) return ['left in the loop:', ...value].join('\n    ');
  return `${field}: ${describe(value)}`;
}

function describe(value: unknown): string {
  const kind = (value as object).constructor?.name ?? typeof value;
  const name = (value as { name?: unknown }).name;
  return typeof name === 'string' && name !== '' ? `${kind} ${name}` : kind;
}
