/** Makes a loop for one test, and fails if anything is left on it. */
import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import type { ExceptionContext } from '../loop/types.ts';
import { checkLoop } from '../tasks/current.ts';
import { checkLoopEmpty } from './leaks.ts';

/**
 * The reports to a loop's exception handler, for the body of {@link withLoop}. The body takes the reports
 * that it expects.
 */
export interface Reports {
  /** Adds a report. For an exception handler that the body sets itself. */
  add(context: ExceptionContext): void;
  /** Returns the reports so far, and empties the list. */
  take(): ExceptionContext[];
  /** Returns their messages, and empties the list. */
  takeMessages(): string[];
}

class ReportList implements Reports {
  readonly #contexts: ExceptionContext[] = [];

  add(context: ExceptionContext): void {
    this.#contexts.push(context);
  }

  take(): ExceptionContext[] {
    return this.#contexts.splice(0);
  }

  takeMessages(): string[] {
    return this.take().map((context) => context.message);
  }
}

/**
 * Runs `body` with a new loop, and checks that it leaves nothing behind. Afterwards the loop must be stopped
 * and own nothing ({@link leaks}). Its exception handler must have no reports that the body did not take;
 * this includes reports while the loop closes. Then the loop is closed. Works with any test framework.
 *
 * @param makeLoop makes the loop: `newEventLoop`, or `() => new SimulatedEventLoop()`
 * @param body the test, which runs the loop itself. A body that closes the loop must take the reports of the
 *   close
 * @returns the result of `body`
 * @throws the exception of `body`; Error if anything is left, which is then ended; TypeError if `makeLoop`
 *   does not return a new loop
 *
 * @example
 * ```ts
 * import { newEventLoop, sleep } from 'gyre';
 * import { withLoop } from 'gyre/testing';
 * import { test } from 'node:test';
 *
 * test('a task that fails is reported', () =>
 *   withLoop(newEventLoop, async (loop, reports) => {
 *     loop.callSoon(() => {
 *       throw new Error('bug');
 *     });
 *     await loop.runUntilComplete(() => sleep(0));
 *     console.log(reports.takeMessages()); // [ 'exception in a callback' ]
 *   }));
 * ```
 */
export async function withLoop<L extends BaseEventLoop, T>(
  makeLoop: () => L,
  body: (loop: L, reports: Reports) => T | PromiseLike<T>,
): Promise<T> {
  checkFunction('makeLoop', makeLoop);
  if (typeof body !== 'function') {
    throw invalidArgType('body', body, 'a function, the second argument: withLoop(newEventLoop, body)');
  }
  const loop = makeLoop();
  checkFresh(loop);
  const reports = new ReportList();
  loop.setExceptionHandler((_loop, context) => reports.add(context));
  try {
    const result = await body(loop, reports);
    checkLoopEmpty(loop);
    loop.close();
    checkNothingReported(reports.take());
    return result;
  } finally {
    if (loop.isRunning()) loop.callSoonThreadsafe(() => loop.stop());
    else loop.close();
  }
}

/** Also detects an async `makeLoop`, which is often the body in the wrong argument position. */
function checkFresh(loop: BaseEventLoop): void {
  if (typeof (loop as { then?: unknown } | null)?.then === 'function') {
    throw invalidArgType('makeLoop()', loop, 'an event loop, not a promise: makeLoop must not be async');
  }
  checkLoop('makeLoop()', loop);
  if (loop.isRunning() || loop.isClosed()) {
    throw invalidArgType('makeLoop()', loop, 'a new event loop that is not running and not closed');
  }
}

function checkNothingReported(reports: ExceptionContext[]): void {
  if (reports.length === 0) return;
  const lines = reports.map(({ message, exception }) =>
    exception === undefined ? message : `${message}: ${String(exception)}`,
  );
  throw new Error(`the loop reported errors that the test did not expect:\n${lines.join('\n')}`);
}
