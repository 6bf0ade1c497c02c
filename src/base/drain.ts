/**
 * Runs the host's microtasks and ticks behind an entry of a loop.
 *
 * There are three ways. The first one that works is chosen at the first call of a loop, by a trial with a
 * promise and a tick:
 * - `tick`: `process._tickCallback()`, which Node calls itself between two timers. It takes 20 to 26 ns when
 *   there is nothing to do. Bun has the name, and it drains nothing there.
 * - `jsc`: `drainMicrotasks()` of `bun:jsc`.
 * - `host`: nothing undocumented. The host drains when the loop returns to it, and calls the loop again in a
 *   tick behind that. So each entry takes a tick: the order is the same, and the loop is slower.
 *
 * `GYRE_DRAIN=host` forces the last one.
 */
import { hostNextTick, hostQueueMicrotask, hostSetImmediate } from './host.ts';

export type DrainName = 'tick' | 'jsc' | 'host';

interface Way {
  readonly name: DrainName;
  /** Null: only the host can. */
  readonly drain: (() => void) | null;
}

const HOST: Way = { name: 'host', drain: null };
const resolved: Promise<void> = Promise.resolve();
let chosen: Way | null = null;

/** The way that was chosen, or null while no loop of this thread has run. */
export function drainName(): DrainName | null {
  return chosen?.name ?? null;
}

/**
 * Runs all microtasks and ticks, with all that they bring about.
 *
 * Call it only from a callback of the host, with no user code on the stack: V8 drains nothing from within a
 * microtask.
 *
 * @param resume called by the host, once they have run, if the answer is false
 * @returns true: they have run. False: return to the host, and go on in `resume`
 */
export function drain(resume: () => void): boolean {
  const way = chosen ?? choose();
  if (way.drain === null) {
    // A tick that is asked for from a microtask runs behind all microtasks.
    void resolved.then(() => hostNextTick(resume));
    return false;
  }
  if (drainNow()) return true;
  hostSetImmediate(resume);
  return false;
}

/**
 * Drains as {@link drain} does, where that needs no return to the host.
 *
 * A tick that throws reaches the host as the uncaught exception that it is. It also costs the caller its
 * async context, which comes back with the next call of the host: false is answered then, too.
 */
export function drainNow(): boolean {
  const { drain: now } = chosen ?? choose();
  if (now === null) return false;
  for (let kept = true; ; kept = false) {
    try {
      now();
      return kept;
    } catch (error) {
      raise(error);
    }
  }
}

/**
 * By a microtask, which is run at once. The throw has left the tick's entry on Node's stack of async ids.
 * Only the handling of an uncaught exception clears it, and Node aborts the process when it returns over an
 * entry that is not its own.
 */
function raise(error: unknown): void {
  hostQueueMicrotask(() => {
    throw error;
  });
}

function choose(): Way {
  const forced = process.env.GYRE_DRAIN === 'host';
  chosen = (forced ? undefined : candidates().find(works)) ?? HOST;
  return chosen;
}

interface HostInternals {
  readonly _tickCallback?: () => void;
  readonly getBuiltinModule?: (name: string) => { readonly drainMicrotasks?: () => void } | undefined;
}

function candidates(): Way[] {
  const { _tickCallback, getBuiltinModule } = process as unknown as HostInternals;
  const jsc = process.versions.bun === undefined ? undefined : getBuiltinModule?.('bun:jsc');
  const ways: Way[] = [
    { name: 'tick', drain: _tickCallback ?? null },
    { name: 'jsc', drain: jsc?.drainMicrotasks ?? null },
  ];
  return ways;
}

function works(way: Way): boolean {
  if (typeof way.drain !== 'function') return false;
  let promise = false;
  let tick = false;
  void resolved.then(() => {
    promise = true;
  });
  hostNextTick(() => {
    tick = true;
  });
  way.drain();
  return promise && tick;
}
