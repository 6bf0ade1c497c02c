import { InvalidStateError } from '../base/errors.ts';
import { secondsText, showInOneLine } from '../base/one-line.ts';
import { checkFunction, checkOptions, checkSecondsOrNull, checkSignal } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import { onAbort, whenSettled } from './abort-signal.ts';
import type { Future } from './future.ts';
import { Limit } from './limit.ts';
import { aborted } from './settled.ts';

/**
 * The argument of the body of {@link timeout}: the deadline, which the body can read and move, and a signal.
 */
export class Timeout {
  readonly #limit: Limit<unknown>;

  /** @internal */
  constructor(limit: Limit<unknown>) {
    this.#limit = limit;
  }

  /** @internal */
  _facts(): string {
    const when = this.when();
    if (this.expired()) return 'expired';
    if (when === null) return 'no deadline';
    return `expires in ${secondsText(Math.max(0, when - this.#limit._loop._backend.time()))}`;
  }

  /** Aborts at the deadline, and when the body is cancelled. For operations that accept a signal. */
  get signal(): AbortSignal {
    return this.#limit.bodySignal;
  }

  /** Returns the deadline in seconds on the clock of `loop.time()`, or null if there is none. */
  when(): number | null {
    return this.#limit.when;
  }

  /** Returns true if the deadline passed while the body ran. */
  expired(): boolean {
    return this.#limit.expired;
  }

  /**
   * Moves the deadline.
   *
   * @param when seconds on the clock of `loop.time()`. A past time means now; null removes the deadline
   * @throws InvalidStateError if the body has ended or the deadline has passed
   */
  reschedule(when: number | null): void {
    checkSecondsOrNull('when', when);
    if (this.#limit.expired)
      throw new InvalidStateError('the deadline has passed already: it cannot be moved');
    if (this.#limit.done())
      throw new InvalidStateError('the body of this timeout has ended: its deadline cannot be moved');
    this.#limit.expireAt(when);
  }
}

showInOneLine(Timeout);

/**
 * Runs `body`, and throws {@link TimeoutError} if it takes longer than `seconds`.
 *
 * At the deadline the body is cancelled: its current `await` throws {@link CancelledError}, cleanup code runs
 * and may await, and then `timeout()` throws a `TimeoutError` whose `cause` is that error. If the body
 * catches the `CancelledError`, its result is returned; any other error of the body is thrown unchanged. A
 * cancel from outside is also thrown unchanged, even if it comes at the same moment.
 *
 * A timeout cancels only code that was started inside its own body. So timeouts may be nested, and may run
 * side by side in one task (`gather`, `Promise.all`). They work in all async code of a loop, inside a task or
 * not.
 *
 * A host promise cannot be interrupted. Pass `scope.signal` to the operation behind it, or await
 * `ensureFuture(promise)`. Otherwise `timeout()` still throws in time, and the body continues alone until it
 * awaits a future, where it is cancelled. A body that never awaits a future is reported when the loop closes.
 *
 * @param seconds from now. Zero or less: the body is cancelled at its first await that has to wait. null: no
 *   deadline yet
 * @param body receives the {@link Timeout}: `when()`, `reschedule(when)`, `expired()`, `signal`
 * @param options `signal`, which ends the body with a `CancelledError`
 * @returns a future of the result of `body`
 * @throws TimeoutError if the deadline ended the body
 * @throws LoopError `ERR_NO_RUNNING_LOOP` outside of a loop
 *
 * **Cancellation** of the future is passed on to the body, as if `timeout()` were not there.
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
  body: (scope: Timeout) => PromiseLike<T>,
  options: SignalOptions = {},
): Future<T> {
  checkSecondsOrNull('seconds', seconds);
  const loop = checkedLoop(body, options);
  const when = seconds === null ? null : loop.time() + seconds;
  return within(loop, 'timeout', seconds, when, body, options);
}

/**
 * Runs `body` as {@link timeout} does, with a deadline instead of a duration.
 *
 * @param when seconds on the clock of `loop.time()`. A past time means now; null: no deadline yet
 * @param body receives the {@link Timeout}
 * @param options `signal`, which ends the body with a `CancelledError`
 * @returns a future of the result of `body`
 * @throws TimeoutError if the deadline ended the body
 * @throws LoopError `ERR_NO_RUNNING_LOOP` outside of a loop
 *
 * **Cancellation** of the future is passed on to the body, as if `timeoutAt()` were not there.
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
  body: (scope: Timeout) => PromiseLike<T>,
  options: SignalOptions = {},
): Future<T> {
  checkSecondsOrNull('when', when);
  return within(checkedLoop(body, options), 'timeoutAt', null, when, body, options);
}

function checkedLoop(body: unknown, options: SignalOptions): Loop {
  checkFunction('body', body);
  checkOptions('options', options, ['signal']);
  checkSignal('options.signal', options.signal);
  return runningLoop();
}

function within<T>(
  loop: Loop,
  name: string,
  seconds: number | null,
  when: number | null,
  body: (scope: Timeout) => PromiseLike<T>,
  { signal }: SignalOptions,
): Future<T> {
  if (signal?.aborted) return aborted(loop, signal);
  const limit: Limit<T> = new Limit(loop, () => body(scope), name, seconds, body);
  const scope = new Timeout(limit);
  limit.expireAt(when);
  limit._run();
  return whenSettled(
    limit,
    onAbort(signal, (error) => limit.abort(error)),
  );
}
