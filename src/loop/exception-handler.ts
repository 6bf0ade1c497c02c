/** Reports exceptions that no caller can catch. */
import { reportJson, reportText } from './report.ts';
import type { ExceptionContext, Loop } from './types.ts';

export type ExceptionHandler = (loop: Loop, context: ExceptionContext) => void;

/**
 * Prints a report to standard error, in colors if that is a terminal. With `GYRE_REPORTS=json` in the
 * environment it is one line of JSON.
 */
export function printException(context: ExceptionContext): void {
  if (process.env.GYRE_REPORTS === 'json') console.error(reportJson(context));
  else console.error(reportText(context, process.stderr.hasColors?.() ?? false));
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
