import { checkOptions, invalidArgType, outOfRange } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { checkLoop } from './current.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

/**
 * The reactions to a promise whose waits were given up. A reaction cannot be taken back, so the next one who
 * waits for the same promise takes it over: waiting again and again for a promise that lives long, each time
 * with a limit, leaves nothing behind. Only promises with such waits are in here: a WeakMap of all would cost
 * ten times the waiting.
 */
const spare: WeakMap<PromiseLike<unknown>, Reaction[]> = new WeakMap();

/**
 * Makes a {@link Future} of anything that can be awaited, so that the wait for it can be cancelled.
 *
 * A future is answered as it is. Cancelling the future made of a promise ends the wait; the work behind the
 * promise goes on, and its later failure is nobody's.
 *
 * @param aw a future, a task or a promise
 * @param options `loop`: default is the running loop
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) when it cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) when it is a future of another loop than the one named
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
  checkOptions('options', options, ['loop']);
  const named = options.loop;
  if (named !== undefined) checkLoop('options.loop', named);
  if (aw instanceof Future) {
    if (named === undefined || aw._loop === named) return aw;
    throw outOfRange('aw', aw, 'a future of this loop, not of another one');
  }
  if (!isAwaitable(aw)) throw invalidArgType('aw', aw, 'a future, a task or a promise');
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
  const takenOver = spare.get(aw)?.pop();
  const reaction = takenOver ?? new Reaction(aw);
  reaction.follower = future;
  future._onSettled = () => reaction.giveUp();
  if (takenOver === undefined) reaction.begin();
}

/** What a promise's `then()` was given: knows the future that waits by it, if one does. */
class Reaction {
  follower: Future<unknown> | null = null;
  readonly #aw: PromiseLike<unknown>;

  constructor(aw: PromiseLike<unknown>) {
    this.#aw = aw;
  }

  begin(): void {
    this.#follow(this.#aw);
  }

  /** A thenable that is no promise may resolve with another one: that one is waited for, as `await` does. */
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

  /** The follower is done: by the promise, or because it was cancelled. */
  giveUp(): void {
    if (this.follower === null) return;
    this.follower = null;
    const others = spare.get(this.#aw);
    if (others === undefined) spare.set(this.#aw, [this]);
    else others.push(this);
  }

  #promiseSettled(): Future<unknown> | null {
    const follower = this.follower;
    this.follower = null;
    if (follower === null) spare.delete(this.#aw);
    return follower;
  }
}
