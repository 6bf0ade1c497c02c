/** A loop for one test, on which nothing may be left. */
import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import type { ExceptionContext } from '../loop/types.ts';
import { checkLoop } from '../tasks/current.ts';
import { checkLoopEmpty } from './leaks.ts';

/**
 * What the exception handler of a loop was told, for the body of {@link withLoop}: what is expected is taken
 * off the list.
 */
export interface Reports {
  /** Adds one: for an exception handler that the body sets itself. */
  add(context: ExceptionContext): void;
  /** The reports so far; the list is empty afterwards. */
  take(): ExceptionContext[];
  /** Their messages; the list is empty afterwards. */
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
 * Gives `body` a fresh loop, and sees that it leaves nothing: afterwards the loop must be stopped, own
 * nothing ({@link leaks}), and have reported nothing to its exception handler that the body did not take,
 * also not while it is closed; then it is closed. Works with any test framework.
 *
 * @param makeLoop makes the loop: `newEventLoop`, or `() => new SimulatedEventLoop()`
 * @param body the test; it runs the loop itself. One that closes the loop takes what that reported
 * @returns what `body` returns
 * @throws what `body` throws; Error when something is left, which is ended then; TypeError for what makes no
 *   fresh loop
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

/** Also told of an async `makeLoop`, which is often the body in the wrong place. */
function checkFresh(loop: BaseEventLoop): void {
  if (typeof (loop as { then?: unknown } | null)?.then === 'function') {
    throw invalidArgType(
      'makeLoop()',
      loop,
      'an event loop, and no promise of one: makeLoop must not be async',
    );
  }
  checkLoop('makeLoop()', loop);
  if (loop.isRunning() || loop.isClosed()) {
    throw invalidArgType('makeLoop()', loop, 'a fresh event loop, which neither runs nor is closed');
  }
}

function checkNothingReported(reports: ExceptionContext[]): void {
  if (reports.length === 0) return;
  const lines = reports.map(({ message, exception }) =>
    exception === undefined ? message : `${message}: ${String(exception)}`,
  );
  throw new Error(`the loop reported what the test did not expect:\n${lines.join('\n')}`);
}
