/**
 * In debug mode, reports code that blocks the thread for longer than `loop.slowCallbackDuration`.
 *
 * Two kinds of code need two watches. A callback is timed around its call. A task's code between two awaits
 * runs in a microtask, and is timed with the host's promise hooks.
 */
import { watchContinuations } from './context.ts';
import { withOrigin } from './creation.ts';
import type { Runnable } from './handle.ts';
import { Handle } from './handle.ts';
import type { Scheduler } from './scheduler.ts';
import type { ContextEntry, ExceptionContext, Loop } from './types.ts';

export class SlowWatch {
  readonly #loop: Loop;
  readonly #limit: () => number;
  readonly #now: () => number;
  #endWatch: (() => void) | null = null;

  constructor(loop: Loop, now: () => number, limitSeconds: () => number) {
    this.#loop = loop;
    this.#now = now;
    this.#limit = limitSeconds;
  }

  start(scheduler: Scheduler): void {
    if (this.#endWatch !== null) return;
    scheduler.debugRun = (entry) => this.#timed(scheduler, entry);
    this.#endWatch = watchContinuations(this.#now, (entry, seconds) => this.#afterStretch(entry, seconds));
  }

  stop(scheduler: Scheduler): void {
    scheduler.debugRun = null;
    this.#endWatch?.();
    this.#endWatch = null;
  }

  #timed(scheduler: Scheduler, entry: Runnable): void {
    const since = this.#now();
    entry._run(scheduler);
    const seconds = this.#now() - since;
    if (seconds < this.#limit()) return;
    const handle = entry instanceof Handle ? entry : null;
    this.#report(`a callback held the loop for ${seconds.toFixed(3)} seconds`, { handle }, handle);
  }

  #afterStretch(entry: ContextEntry, seconds: number): void {
    if (entry._loop !== this.#loop || seconds < this.#limit()) return;
    const task = entry._task as { name?: string } | null;
    const message = `task ${task?.name ?? ''} held the loop for ${seconds.toFixed(3)} seconds between two awaits`;
    this.#report(message, { task }, task);
  }

  #report(message: string, fields: Partial<ExceptionContext>, created: object | null): void {
    this.#loop.callExceptionHandler(withOrigin({ message, ...fields }, created));
  }
}
