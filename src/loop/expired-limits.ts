/**
 * Counts limits that expire each time they are used, for those who look into a loop.
 *
 * Two uses count as the same limit if they have the same seconds and run the same code. An expiry is rare, so
 * it may cost a little. A use that ends in time costs one comparison, unless a limit of so many seconds has
 * expired before.
 */

/** The limits that are kept. The one that has expired least recently makes room. */
const MOST = 100;

/** A limit that has expired, and that has not ended in time since. */
export interface ExpiredLimit {
  /** `timeout`, `timeoutAt` or `waitFor`. */
  readonly name: string;
  /** The seconds of the limit; null for `timeoutAt()`. */
  readonly seconds: number | null;
  /** The code that it limits: the source of a function, or the name of a future. */
  readonly body: string;
  /** How often it has expired in a row. */
  times: number;
  /** The time of the last expiry, on the clock of the loop. */
  at: number;
  /** The task whose limit has expired last; null: code of no task. */
  task: string | null;
}

/** One use of a limit. */
export interface LimitUse {
  readonly name: string;
  readonly _caller: string | null;
  readonly seconds: number | null;
  /** Returns {@link ExpiredLimit.body}. */
  limitedCode(): string;
}

export class ExpiredLimits {
  /** The one that has expired last is the last. */
  readonly #limits: Set<ExpiredLimit> = new Set();

  [Symbol.iterator](): IterableIterator<ExpiredLimit> {
    return this.#limits.values();
  }

  expired(use: LimitUse, at: number): void {
    const body = use.limitedCode();
    const known = this.#find(use, body);
    const limit = known ?? { name: use.name, seconds: use.seconds, body, times: 0, at, task: null };
    limit.times++;
    limit.at = at;
    limit.task = use._caller;
    this.#limits.delete(limit);
    this.#limits.add(limit);
    if (this.#limits.size <= MOST) return;
    for (const oldest of this.#limits) {
      this.#limits.delete(oldest);
      break;
    }
  }

  endedInTime(use: LimitUse): void {
    if (this.#limits.size === 0 || !this.#hasSeconds(use.seconds)) return;
    const limit = this.#find(use, use.limitedCode());
    if (limit !== null) this.#limits.delete(limit);
  }

  #hasSeconds(seconds: number | null): boolean {
    for (const limit of this.#limits) if (limit.seconds === seconds) return true;
    return false;
  }

  #find(use: LimitUse, body: string): ExpiredLimit | null {
    for (const limit of this.#limits) {
      if (limit.seconds === use.seconds && limit.name === use.name && limit.body === body) return limit;
    }
    return null;
  }
}
