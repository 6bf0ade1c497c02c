/**
 * Prevents cancels of helpers that are not awaited from ending the process.
 *
 * `void helper()` runs inside the task that called it, and a cancel of the task ends the helper's waits, too.
 * The helper's promise is then rejected with a `CancelledError` that no code handles. For Node this is an
 * unhandled rejection, which would end the process in the middle of the task's cleanup. In asyncio, a
 * cancelled task that nobody awaits is not a failure either.
 *
 * Node cannot watch a single promise for this. So while a runner runs there is a listener: it ignores
 * cancels, and treats every other rejection as Node does without a listener.
 */
import { hostQueueMicrotask } from '../base/host.ts';
import { asCancel } from './cancellation.ts';

const EVENT = 'unhandledRejection';

/** The number of active runners. */
let runners: number = 0;

/** Ignores cancels of unawaited helpers until the returned function is called. */
export function ignoreUnawaitedCancels(): () => void {
  // The program has chosen its own mode for rejections. Keep it.
  if (hasOwnMode()) return () => {};
  if (runners++ === 0) process.on(EVENT, onRejection);
  return () => {
    if (--runners === 0) process.off(EVENT, onRejection);
  };
}

function onRejection(reason: unknown): void {
  if (asCancel(reason) !== null || process.listenerCount(EVENT) > 1) return;
  hostQueueMicrotask(() => {
    throw reason instanceof Error ? reason : new UnhandledRejection(reason);
  });
}

/** The error that Node throws for a rejection whose reason is not an error. */
class UnhandledRejection extends Error {
  override readonly name: string = 'UnhandledPromiseRejection';
  readonly code = 'ERR_UNHANDLED_REJECTION';

  constructor(reason: unknown) {
    super(`unhandled promise rejection: ${String(reason)}`, { cause: reason });
  }
}

function hasOwnMode(): boolean {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  return options.includes('--unhandled-rejections');
}
