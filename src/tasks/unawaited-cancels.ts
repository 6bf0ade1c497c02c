/**
 * Keeps cancels of helpers that nobody awaits from ending the process.
 *
 * `void helper()` runs within the task that called it, and a cancel of the task ends its waits, too. Its
 * promise is then rejected with a `CancelledError`, and nobody looks at that: to Node it is an unhandled
 * rejection, which would end the process in the middle of the task's cleanup. In asyncio, too, a cancelled
 * task that nobody awaits is no failure.
 *
 * Node knows no way to look at one rejection only. So while a runner runs there is a listener: it ignores
 * cancels, and treats every other rejection as Node does where there is no listener.
 */
import { hostQueueMicrotask } from '../base/host.ts';
import { asCancel } from './cancellation.ts';

const EVENT = 'unhandledRejection';

/** Runners that run. */
let runners: number = 0;

/** From now on, until the answered function is called. */
export function ignoreUnawaitedCancels(): () => void {
  // The program has said what is to be done with rejections, and that is done.
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

/** As Node names a rejection by something that is no error. */
class UnhandledRejection extends Error {
  override readonly name: string = 'UnhandledPromiseRejection';
  readonly code = 'ERR_UNHANDLED_REJECTION';

  constructor(reason: unknown) {
    super(`a promise was rejected and nobody handled it: ${String(reason)}`, { cause: reason });
  }
}

function hasOwnMode(): boolean {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  return options.includes('--unhandled-rejections');
}
