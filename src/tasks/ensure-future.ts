import { checkOptions, invalidArgType, outOfRange } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { checkLoop } from './current.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

/**
 * Reactions to a promise that no future waits for any more. A reaction cannot be removed from a promise, so
 * the next future that waits for the same promise reuses it. Waiting many times for a long-lived promise,
 * each time with a timeout, therefore leaks nothing. The map contains only promises with such reactions: a
 * WeakMap of all promises would make waiting ten times slower.
 */
const spareReactions: WeakMap<PromiseLike<unknown>, Reaction[]> = new WeakMap();

/**
 * Returns a {@link Future} for anything that can be awaited, so that the wait can be cancelled.
 *
 * A future is returned unchanged. If `aw` is a promise, a cancel of the future ends only the wait; the work
 * behind the promise continues, and its later failure is ignored.
 *
 * @param aw a future, a task or a promise
 * @param options `loop`: default is the running loop
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if `aw` cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) if `aw` is a future of another loop than `options.loop`
 *
 * @example
 * ```ts
 * import { ensureFuture, run, waitFor } from 'gyre';
 *
 * await run(async () => {
 *   const slow = new Promise<never>(() => {});
 *   await waitFor(ensureFuture(slow), 0.01).catch((error) => console.log(error.name)); // TimeoutError
 * });
 * ```
 */
export function ensureFuture<T>(aw: Awaitable<T>, options: { loop?: Loop } = {}): Future<T> {
  return toFuture('aw', aw, options);
}

/**
 * Returns a {@link Future} of this loop for the result of work that another place does: a promise of the
 * host, or the promise of an executor's `submit()`. A future is returned unchanged.
 *
 * asyncio has it for futures of threads. A promise of the host takes their place here, so `wrapFuture()` does
 * what {@link ensureFuture} does; a function to run is for `createTask()`.
 *
 * @param future a promise, a future or a task
 * @param options `loop`: default is the running loop
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if `future` cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) if `future` is a future of another loop than `options.loop`
 *
 * **Cancellation** of the future ends only the wait: the work behind the promise continues.
 *
 * @example
 * ```ts
 * import { run, ThreadPoolExecutor, wrapFuture } from 'gyre';
 *
 * await run(async () => {
 *   const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
 *   const future = wrapFuture(pool.submit((n: number) => n * n, [7]));
 *   future.addDoneCallback(() => console.log('done'));
 *   console.log(await future); // 49
 *   await pool.shutdown();
 * });
 * ```
 */
export function wrapFuture<T>(future: Awaitable<T>, options: { loop?: Loop } = {}): Future<T> {
  return toFuture('future', future, options);
}

function toFuture<T>(name: string, aw: Awaitable<T>, options: { loop?: Loop }): Future<T> {
  checkOptions('options', options, ['loop']);
  const named = options.loop;
  if (named !== undefined) checkLoop('options.loop', named);
  if (aw instanceof Future) {
    if (named === undefined || aw._loop === named) return aw;
    throw outOfRange(name, aw, 'a future of this loop, not of another one');
  }
  if (!isAwaitable(aw)) throw invalidArgType(name, aw, 'a future, a task or a promise');
  const future = new Future<T>(named ?? runningLoop());
  follow(future as Future<unknown>, aw);
  return future;
}

export function isAwaitable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

function follow(future: Future<unknown>, aw: PromiseLike<unknown>): void {
  const takenOver = spareReactions.get(aw)?.pop();
  const reaction = takenOver ?? new Reaction(aw);
  reaction.follower = future;
  future._onSettled = () => reaction.followerDone();
  if (takenOver === undefined) reaction.begin();
}

/** The two handlers that were passed to `then()` of a promise, and the future that waits for it, if any. */
class Reaction {
  follower: Future<unknown> | null = null;
  readonly #aw: PromiseLike<unknown>;

  constructor(aw: PromiseLike<unknown>) {
    this.#aw = aw;
  }

  begin(): void {
    this.#follow(this.#aw);
  }

  /** A thenable that is not a promise may resolve with another thenable. Follow that one, as `await` does. */
  #follow(aw: PromiseLike<unknown>): void {
    try {
      aw.then(
        (value) => {
          if (isAwaitable(value)) this.#follow(value);
          else this.#promiseSettled()?._settle('result', value);
        },
        (error) => this.#promiseSettled()?._fail(error),
      );
    } catch (error) {
      this.#promiseSettled()?._fail(error);
    }
  }

  /** The follower is done: the promise settled, or the follower was cancelled. */
  followerDone(): void {
    if (this.follower === null) return;
    this.follower = null;
    const others = spareReactions.get(this.#aw);
    if (others === undefined) spareReactions.set(this.#aw, [this]);
    else others.push(this);
  }

  #promiseSettled(): Future<unknown> | null {
    const follower = this.follower;
    this.follower = null;
    if (follower === null) spareReactions.delete(this.#aw);
    return follower;
  }
}
