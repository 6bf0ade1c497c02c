import { InvalidStateError } from '../base/errors.ts';
import { checkFunction, checkOptions, checkSecondsOrNull, checkSignal } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from './abort-signal.ts';
import { onAbort, whenSettled } from './abort-signal.ts';
import type { Future } from './future.ts';
import { Limit } from './limit.ts';
import { aborted } from './settled.ts';

/** The argument of the body of {@link timeout}: its deadline, to look at and to move, and its signal. */
export class TimeoutScope {
  readonly #limit: Limit<unknown>;

  /** @internal */
  constructor(limit: Limit<unknown>) {
    this.#limit = limit;
  }

  /** Aborts at the deadline, and when the body is cancelled: for operations that take a signal. */
  get signal(): AbortSignal {
    return this.#limit.bodySignal;
  }

  /** The deadline in seconds on the clock of `loop.time()`, or null when there is none. */
  when(): number | null {
    return this.#limit.when;
  }

  /** Whether the deadline has passed while the body ran. */
  expired(): boolean {
    return this.#limit.expired;
  }

  /**
   * Moves the deadline.
   *
   * @param when seconds on the clock of `loop.time()`; a moment that has passed means now; null: no deadline
   * @throws InvalidStateError when the body has ended or the deadline has passed
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

/**
 * Runs `body`, and ends it with a {@link TimeoutError} when it takes longer than `seconds`.
 *
 * At the deadline the body is cancelled: the `await` at which it stands throws {@link CancelledError},
 * cleanup runs and may await, and `timeout()` throws a `TimeoutError` whose `cause` is that error. A body
 * that swallows it, and any other error, pass as they are; so does a cancel that came from elsewhere, also at
 * the same moment.
 *
 * A limit reaches what was begun inside its own body, and nothing else: limits may be nested, and stand side
 * by side in one task (`gather`, `Promise.all`). It works in every async code of a loop, inside a task or
 * not.
 *
 * A promise of the host's cannot be interrupted. Pass `scope.signal` to the operation behind it, or await
 * `ensureFuture(promise)`. Where neither was done, `timeout()` throws in time all the same, and the body goes
 * on alone to its next await of a future, where it is cancelled. A body that never gets there is named when
 * the loop is closed.
 *
 * @param seconds from now on; zero or less: at the first await that has to wait; null: no deadline yet
 * @param body is given the {@link TimeoutScope}: `when()`, `reschedule(when)`, `expired()`, `signal`
 * @param options `signal`, which ends the body with a `CancelledError`
 * @returns a future of the result of `body`
 * @throws TimeoutError when the deadline ended the body
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
  body: (scope: TimeoutScope) => PromiseLike<T>,
  options: SignalOptions = {},
): Future<T> {
  checkSecondsOrNull('seconds', seconds);
  const loop = checkedLoop(body, options);
  return within(loop, 'timeout', seconds === null ? null : loop.time() + seconds, body, options);
}

/**
 * Runs `body` as {@link timeout} does, with a deadline instead of a duration.
 *
 * @param when seconds on the clock of `loop.time()`; a moment that has passed means now; null: no deadline
 *   yet
 * @param body is given the {@link TimeoutScope}
 * @param options `signal`, which ends the body with a `CancelledError`
 * @returns a future of the result of `body`
 * @throws TimeoutError when the deadline ended the body
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
  body: (scope: TimeoutScope) => PromiseLike<T>,
  options: SignalOptions = {},
): Future<T> {
  checkSecondsOrNull('when', when);
  return within(checkedLoop(body, options), 'timeoutAt', when, body, options);
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
  when: number | null,
  body: (scope: TimeoutScope) => PromiseLike<T>,
  { signal }: SignalOptions,
): Future<T> {
  if (signal?.aborted) return aborted(loop, signal);
  const limit: Limit<T> = new Limit(loop, () => body(scope), name);
  const scope = new TimeoutScope(limit);
  limit.expireAt(when);
  limit._run();
  return whenSettled(
    limit,
    onAbort(signal, (error) => limit.abort(error)),
  );
}
