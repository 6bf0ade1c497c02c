import { CancelledError, InvalidStateError, TimeoutError } from '../base/errors.ts';
import { checkFunction, checkOptions, checkSecondsOrNull, checkSignal } from '../base/validate.ts';
import type { Handle } from '../loop/handle.ts';
import type { SignalOptions } from './abort-signal.ts';
import { abortError, onAbort } from './abort-signal.ts';
import { CancelScope } from './cancel-scope.ts';
import { requireTask } from './current.ts';
import type { Task } from './task.ts';

/** What the body of {@link timeout} is given: its deadline, to look at and to move. */
export class TimeoutScope {
  readonly #scope: CancelScope;
  #when: number | null = null;
  #timer: Handle | null = null;
  #expired: boolean = false;
  #ended: boolean = false;
  #aborted: CancelledError | null = null;
  #removeListener: (() => void) | null = null;

  /** @internal */
  constructor(task: Task, when: number | null) {
    this.#scope = new CancelScope(task);
    this.reschedule(when);
  }

  /** The deadline in seconds on the clock of `loop.time()`, or null when there is none. */
  when(): number | null {
    return this.#when;
  }

  /** Whether the deadline has passed while the body ran. */
  expired(): boolean {
    return this.#expired;
  }

  /**
   * Moves the deadline.
   *
   * @param when seconds on the clock of `loop.time()`; what has passed means now; null: no deadline
   * @throws InvalidStateError when the body has ended or the deadline has passed
   */
  reschedule(when: number | null): void {
    checkSecondsOrNull('when', when);
    if (this.#ended)
      throw new InvalidStateError('the body of this timeout has ended: its deadline cannot be moved');
    if (this.#expired) throw new InvalidStateError('the deadline has passed already: it cannot be moved');
    this.#timer?.cancel();
    this.#timer = null;
    this.#when = when;
    if (when === null || when === Number.POSITIVE_INFINITY) return;
    const loop = this.#scope.task._loop;
    const expire = (): void => this.#expire();
    this.#timer = when <= loop.time() ? loop.callSoon(expire) : loop.callAt(when, expire);
  }

  /** @internal */
  async _run<T>(body: (scope: TimeoutScope) => PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#removeListener = onAbort(signal, (error) => this.#abort(error));
    let result: T;
    try {
      result = await body(this);
    } catch (error) {
      throw this.#end(error);
    }
    this.#end(null);
    return result;
  }

  #expire(): void {
    this.#timer = null;
    this.#expired = true;
    this.#scope.cancel('the deadline has passed');
  }

  #abort(error: CancelledError): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#expired) return;
    this.#aborted = error;
    this.#scope.cancel(error);
  }

  /** The body has ended, with `error` or well. Answers what becomes of the error. */
  #end(error: unknown): unknown {
    this.#timer?.cancel();
    this.#removeListener?.();
    this.#ended = true;
    const ownDoing = this.#scope.end();
    if (!ownDoing || !(error instanceof CancelledError)) return error;
    return this.#aborted ?? new TimeoutError('timed out: the deadline passed first', { cause: error });
  }
}

/**
 * Runs `body` in the current task, and ends it with a {@link TimeoutError} when it takes longer than `seconds`.
 *
 * At the deadline the task is cancelled: the `await` at which the body stands throws {@link CancelledError}, cleanup runs and
 * may await, and what comes out of `timeout()` is a `TimeoutError` whose `cause` is that error. A body that swallows it, and any
 * other error, pass as they are; so does a cancel that came from elsewhere, also at the same moment. Timeouts may be
 * nested: each throws for its own deadline only.
 *
 * A task stands in one timeout at a time, or in one within another. For several limits side by side
 * (`Promise.all`), give each its own task, or use `waitFor()`.
 *
 * @param seconds from now on; zero or less: at the first await that has to wait; null: no deadline yet
 * @param body is given the {@link TimeoutScope}: `when()`, `reschedule(when)`, `expired()`
 * @param options `signal`, which ends the body with a `CancelledError`
 * @returns what `body` returns
 * @throws TimeoutError when the deadline ended the body
 * @throws InvalidStateError when called outside of a task; LoopError `ERR_NO_RUNNING_LOOP` outside of a loop
 *
 * **Cancellation** of the task reaches the body as if `timeout()` were not there.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run, sleep, timeout, TimeoutError } from 'gyre';
 *
 * await run(async () => {
 *   try {
 *     await timeout(0.01, () => sleep(3600));
 *   } catch (error) {
 *     console.log(error instanceof TimeoutError); // true
 *   }
 *   const loop = getRunningLoop();
 *   await timeout(0.01, async (scope) => {
 *     scope.reschedule(loop.time() + 10);
 *     await sleep(0.02);
 *   });
 * });
 * ```
 */
export function timeout<T>(
  seconds: number | null,
  body: (scope: TimeoutScope) => PromiseLike<T>,
  options: SignalOptions = {},
): Promise<T> {
  checkSecondsOrNull('seconds', seconds);
  const task = begin('timeout', body, options);
  return within(task, seconds === null ? null : task._loop.time() + seconds, body, options);
}

/**
 * As {@link timeout}, with a deadline instead of a duration.
 *
 * @param when seconds on the clock of `loop.time()`; what has passed means now; null: no deadline yet
 * @param body is given the {@link TimeoutScope}
 * @param options `signal`, which ends the body with a `CancelledError`
 * @returns what `body` returns
 * @throws TimeoutError when the deadline ended the body
 * @throws InvalidStateError when called outside of a task; LoopError `ERR_NO_RUNNING_LOOP` outside of a loop
 *
 * **Cancellation** of the task reaches the body as if `timeoutAt()` were not there.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run, sleep, timeoutAt } from 'gyre';
 *
 * await run(async () => {
 *   const deadline = getRunningLoop().time() + 5;
 *   const word = await timeoutAt(deadline, () => sleep(0.01, 'in time'));
 *   console.log(word);
 * });
 * ```
 */
export function timeoutAt<T>(
  when: number | null,
  body: (scope: TimeoutScope) => PromiseLike<T>,
  options: SignalOptions = {},
): Promise<T> {
  checkSecondsOrNull('when', when);
  return within(begin('timeoutAt', body, options), when, body, options);
}

function begin(caller: string, body: unknown, options: SignalOptions): Task {
  checkFunction('body', body);
  checkOptions('options', options, ['signal']);
  checkSignal('options.signal', options.signal);
  return requireTask(caller);
}

async function within<T>(
  task: Task,
  when: number | null,
  body: (scope: TimeoutScope) => PromiseLike<T>,
  { signal }: SignalOptions,
): Promise<T> {
  if (signal?.aborted) throw abortError(signal);
  return new TimeoutScope(task, when)._run(body, signal);
}
