/** A loop for one test, and the proof that the test left nothing behind. */
import assert from 'node:assert/strict';
import { checkLoopEmpty } from '../../src/entry/testing.ts';
import type { BaseEventLoop, ExceptionContext } from '../../src/index.ts';

/** What the loop's exception handler was told. A test that expects reports takes them off the list. */
export class Reports {
  readonly #contexts: ExceptionContext[] = [];

  add(context: ExceptionContext): void {
    this.#contexts.push(context);
  }

  /** The reports so far; the list is empty afterwards. */
  take(): ExceptionContext[] {
    return this.#contexts.splice(0);
  }

  /** Their messages; the list is empty afterwards. */
  takeMessages(): string[] {
    return this.take().map((context) => context.message);
  }
}

/**
 * Gives `body` a fresh loop. Afterwards the loop must be stopped, own nothing and have reported nothing that the body did not
 * take, also not while it is closed; then it is closed. A body that closes the loop itself takes what that reported.
 */
export async function withLoop<L extends BaseEventLoop>(
  makeLoop: () => L,
  body: (loop: L, reports: Reports) => unknown,
): Promise<void> {
  const loop = makeLoop();
  const reports = new Reports();
  loop.setExceptionHandler((_loop, context) => reports.add(context));
  try {
    await body(loop, reports);
    checkLoopEmpty(loop);
    loop.close();
    const untold = reports.take().map(describe);
    assert.deepEqual(untold, [], `the loop reported what the test did not expect:\n${untold.join('\n')}`);
  } finally {
    if (loop.isRunning()) {
      loop.callSoonThreadsafe(() => loop.stop());
    } else {
      loop.close();
    }
  }
}

function describe({ message, exception }: ExceptionContext): string {
  return exception === undefined ? message : `${message}: ${String(exception)}`;
}
