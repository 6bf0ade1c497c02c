import { checkBoolean, checkOptions, checkSignal } from '../base/validate.ts';
import type { SignalOptions } from './abort-signal.ts';
import { cancelOnAbort } from './abort-signal.ts';
import type { CancelReason, CancelWay } from './cancellation.ts';
import { cancelNow } from './cancellation.ts';
import type { Collected } from './collect.ts';
import { collect } from './collect.ts';
import { DoneCallback } from './done-callback.ts';
import { isAwaitable } from './ensure-future.ts';
import type { Awaitable } from './future.ts';
import { Future } from './future.ts';

export interface GatherOptions extends SignalOptions {
  /** Failures become results, and do not end the wait for the others. Default: false. */
  returnExceptions?: boolean;
}

/** The result of `gather` for a tuple of awaitables. */
export type Gathered<A extends readonly Awaitable<unknown>[]> = { -readonly [K in keyof A]: Awaited<A[K]> };

/** The result of `gather` with `returnExceptions`: an `Error` (or another thrown value) for each failure. */
export type GatheredOrErrors<A extends readonly Awaitable<unknown>[]> = {
  -readonly [K in keyof A]: Awaited<A[K]> | Error;
};

/**
 * Waits for several awaitables at once, and returns their results in the order of the arguments.
 *
 * The first failure rejects the future at once. The other awaitables continue, and their results and failures
 * are ignored (`taskGroup()` cancels them instead). With `returnExceptions` it waits for all, and returns
 * failures and cancellations as results. The same future may be passed several times. Awaitables that are
 * already done cost no turn.
 *
 * @param options recognized only if the first argument is a plain object that cannot be awaited:
 *   `returnExceptions`, `signal`
 * @param aws futures, tasks or promises of one loop
 * @returns a future of the tuple of results
 * @throws TypeError (`ERR_INVALID_ARG_TYPE`) if an argument cannot be awaited
 * @throws RangeError (`ERR_OUT_OF_RANGE`) if an argument belongs to another loop
 *
 * **Cancellation** cancels every awaitable that is not done. An awaitable that other code cancels counts
 * as failed with a {@link CancelledError}; the others are not cancelled.
 *
 * @example
 * ```ts
 * import { gather, run, sleep } from 'gyre';
 *
 * await run(async () => {
 *   const [word, number] = await gather(sleep(0.02, 'slow'), sleep(0.01, 42));
 *   console.log(word, number); // slow 42
 *
 *   const failing = async (): Promise<number> => {
 *     throw new Error('no');
 *   };
 *   console.log(await gather({ returnExceptions: true }, failing(), sleep(0, 'yes'))); // [Error: no, 'yes']
 * });
 * ```
 */
export function gather<A extends readonly Awaitable<unknown>[]>(...aws: A): Future<Gathered<A>>;
export function gather<A extends readonly Awaitable<unknown>[]>(
  options: GatherOptions & { returnExceptions?: false },
  ...aws: A
): Future<Gathered<A>>;
export function gather<A extends readonly Awaitable<unknown>[]>(
  options: GatherOptions,
  ...aws: A
): Future<GatheredOrErrors<A>>;
export function gather(...args: unknown[]): Future<unknown> {
  const hasOptions = isPlainOptions(args[0]);
  const options = hasOptions ? (args[0] as GatherOptions) : undefined;
  if (options !== undefined) checkGatherOptions(options);
  const collected = collect((hasOptions ? args.slice(1) : args) as Awaitable<unknown>[]);
  const gathering = new Gathering(collected, options?.returnExceptions === true);
  gathering.begin();
  return cancelOnAbort(gathering, options?.signal);
}

function isPlainOptions(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || isAwaitable(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function checkGatherOptions(options: GatherOptions): void {
  checkOptions('options', options, ['returnExceptions', 'signal']);
  if (options.returnExceptions !== undefined)
    checkBoolean('options.returnExceptions', options.returnExceptions);
  checkSignal('options.signal', options.signal);
}

class Gathering extends Future<unknown[]> {
  readonly #aws: Awaitable<unknown>[];
  /** One future for each argument; a future that was passed several times appears several times. */
  readonly #children: Future<unknown>[];
  readonly #distinct: ReadonlySet<Future<unknown>>;
  readonly #returnExceptions: boolean;
  #callbacks: DoneCallback[] = [];
  #left: number;
  #cancelled: CancelReason | null = null;

  constructor(collected: Collected, returnExceptions: boolean) {
    super(collected.loop);
    this.#aws = collected.aws;
    this.#children = collected.futures;
    this.#distinct = new Set(collected.futures);
    this.#left = this.#distinct.size;
    this.#returnExceptions = returnExceptions;
  }

  override _asWait(): string {
    return 'gather()';
  }

  override _waitsFor(): readonly Future<unknown>[] {
    return [...this.#distinct].filter((child) => !child.done());
  }

  begin(): void {
    if (this.#left === 0) {
      this._settle('result', []);
      return;
    }
    const onDone = (child: Future<unknown>): void => this.#childDone(child);
    const done: Future<unknown>[] = [];
    for (const child of this.#distinct) {
      if (child.done()) done.push(child);
      else this.#callbacks.push(new DoneCallback(child, onDone));
    }
    for (const child of done) this.#childDone(child);
  }

  /**
   * Cancels the futures that are not done. If all are done, the cancel is too late: the result is already in
   * the ready queue.
   */
  override _cancel(reason: CancelReason, way: CancelWay): boolean {
    if (this._state !== 'pending') return false;
    const pending = [...this.#distinct].filter((child) => !child.done());
    if (pending.length === 0) return false;
    way.pass(pending);
    this.#cancelled = reason;
    return true;
  }

  override _isEnding(): boolean {
    return [...this.#distinct].every((child) => child.done());
  }

  #childDone(child: Future<unknown>): void {
    if (this._state !== 'pending') {
      child._ignoreException();
      return;
    }
    this.#left--;
    if (!this.#returnExceptions && child._state !== 'result') this.#failWith(child);
    else if (this.#left === 0) this.#complete();
  }

  #failWith(child: Future<unknown>): void {
    if (child.cancelled()) this._settle('cancelled', child._failure());
    else this._fail(child._failure());
    this.#letGo();
  }

  #complete(): void {
    const results = this.#children.map((child) =>
      child._state === 'result' ? child._value : child._failure(),
    );
    if (this.#cancelled === null) this._settle('result', results);
    else this._settle('cancelled', this.#cancelled);
  }

  /** A future has failed, so the results of the others are ignored. */
  #letGo(): void {
    for (const callback of this.#callbacks) callback.remove();
    this.#callbacks = [];
    for (const [index, child] of this.#children.entries()) {
      child._ignoreException();
      if (child !== this.#aws[index]) cancelNow(child, undefined);
    }
  }
}
