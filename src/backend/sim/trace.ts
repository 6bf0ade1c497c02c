/**
 * A log of a simulated loop, entry by entry of its ready queue, and the comparison of two logs.
 *
 * Two runs in one process must give equal labels. So futures and unnamed tasks are numbered by their first
 * appearance in the trace, not by the process-wide counter of their names.
 */

/** One entry of the ready queue, recorded right before it ran. */
export interface TraceEntry {
  /** Seconds, on the clock of `loop.time()`. */
  readonly time: number;
  /**
   * `callback`: a callback of `callSoon`, or a done callback. `timer`: a callback with a deadline. `wake-up`:
   * a waiter of a future that is done. `stop`: the mark of `stop()`.
   */
  readonly kind: 'callback' | 'timer' | 'wake-up' | 'stop';
  /** The name of the function, the task or the future. */
  readonly label: string;
}

/** The first difference between two traces. */
export interface TraceDifference {
  /** The index of the first entry that differs, counted from 0. */
  readonly index: number;
  /** The line of each trace at this index; null if the trace has ended. */
  readonly first: string | null;
  readonly second: string | null;
}

/** The fields that the trace reads: handles have a callback, timers also a deadline, and waiters a future. */
interface Traced {
  readonly _callback?: { readonly name: string } | null;
  readonly _args?: readonly unknown[];
  readonly _when?: number;
  readonly future?: object;
}

export class Trace {
  readonly entries: TraceEntry[] = [];
  readonly #numbers: WeakMap<object, number> = new WeakMap();
  #count: number = 0;

  add(time: number, entry: object): void {
    this.entries.push({ time, ...this.describe(entry) });
  }

  /** Returns the description of an entry. */
  describe(entry: object): Omit<TraceEntry, 'time'> {
    const { _callback, _args, _when, future } = entry as Traced;
    if (_callback !== undefined)
      return { kind: _when === undefined ? 'callback' : 'timer', label: this.#call(_callback, _args) };
    if (entry.constructor === Object) return { kind: 'stop', label: 'stop' };
    return { kind: 'wake-up', label: this.#nameOf(future ?? entry) };
  }

  #call(callback: { readonly name: string } | null, args: readonly unknown[] = []): string {
    if (callback === null) return '(cancelled)';
    const name = callback.name === '' ? '(anonymous)' : callback.name;
    return isTask(args[0]) ? `${name} of ${this.#nameOf(args[0])}` : name;
  }

  #nameOf(thing: object): string {
    if (isTask(thing) && !/^Task-\d+$/.test(thing.name)) return thing.name;
    let number = this.#numbers.get(thing);
    if (number === undefined) {
      number = ++this.#count;
      this.#numbers.set(thing, number);
    }
    return `${thing.constructor.name} ${number}`;
  }
}

/**
 * Returns the first difference between two traces, or null if they are equal.
 *
 * @param first a trace of a `SimulatedEventLoop`, or of a simulation
 * @param second another trace
 *
 * @example
 * ```ts
 * import { sleep } from 'gyre';
 * import { compareTraces, SimulatedEventLoop } from 'gyre/sim';
 *
 * async function traceOf(seconds: number) {
 *   using loop = new SimulatedEventLoop({ trace: true });
 *   await loop.runUntilComplete(() => sleep(seconds));
 *   return loop.trace;
 * }
 * console.log(compareTraces(await traceOf(1), await traceOf(1))); // null
 * console.log(compareTraces(await traceOf(1), await traceOf(2))?.second);
 * ```
 */
export function compareTraces(
  first: readonly ComparableEntry[],
  second: readonly ComparableEntry[],
): TraceDifference | null {
  const length = Math.max(first.length, second.length);
  for (let index = 0; index < length; index++) {
    const lines = [first[index], second[index]].map((entry) => (entry === undefined ? null : lineOf(entry)));
    if (lines[0] !== lines[1])
      return { index, first: lines[0] as string | null, second: lines[1] as string | null };
  }
  return null;
}

/** An entry of either kind of trace. */
export interface ComparableEntry {
  readonly time: number;
  readonly host?: string;
  readonly kind: string;
  readonly label: string;
}

/** Returns an entry as text. */
export function lineOf({ time, host = '', kind, label }: ComparableEntry): string {
  return `${time} s: ${host === '' ? '' : `${host} `}${kind} ${label}`;
}

function isTask(value: unknown): value is { name: string } {
  return typeof value === 'object' && value !== null && '_scope' in value && 'name' in value;
}
