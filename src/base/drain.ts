/**
 * Runs the host's microtasks and ticks after an entry of a loop.
 *
 * There are three ways. The first call in a thread tries them with a promise and a tick, and chooses the
 * first way that works:
 * - `tick`: `process._tickCallback()`, which Node itself calls between two timers. It takes 20 to 26 ns when
 *   there is nothing to do. Bun has a function of this name that drains nothing.
 * - `jsc`: `drainMicrotasks()` of `bun:jsc`.
 * - `host`: no undocumented function. The host drains when the loop returns to it, and calls the loop again
 *   in a tick after that. So each entry needs a tick: the order is the same, and the loop is slower.
 *
 * `GYRE_DRAIN=host` forces the third way.
 */
import { hostNextTick, hostQueueMicrotask, hostSetImmediate } from './host.ts';

export type DrainName = 'tick' | 'jsc' | 'host';

interface Way {
  readonly name: DrainName;
  /** null: only the host can drain. */
  readonly drain: (() => void) | null;
}

const HOST: Way = { name: 'host', drain: null };
const resolved: Promise<void> = Promise.resolve();
let chosen: Way | null = null;

/** Returns the name of the chosen way, or null if no loop of this thread has run yet. */
export function drainName(): DrainName | null {
  return chosen?.name ?? null;
}

/**
 * Runs all microtasks and ticks, and everything that they cause.
 *
 * Call it only from a callback of the host, without user code on the stack: V8 drains nothing from within a
 * microtask.
 *
 * @param resume called by the host after they have run, if the return value is false
 * @returns true if they have run. false: return to the host, and continue in `resume`
 */
export function drain(resume: () => void): boolean {
  const way = chosen ?? choose();
  if (way.drain === null) {
    // A tick that a microtask requests runs after all microtasks.
    void resolved.then(() => hostNextTick(resume));
    return false;
  }
  if (drainNow()) return true;
  hostSetImmediate(resume);
  return false;
}

/**
 * Drains as {@link drain} does, if that is possible without returning to the host.
 *
 * If a tick throws, the host gets the exception as an uncaught exception. The caller also loses its async
 * context until the next call of the host, so the return value is false then, too.
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
 * Throws in a microtask, which runs at once. The failed tick has left its entry on Node's stack of async ids.
 * Only the handling of an uncaught exception clears that stack, and Node aborts the process if it finds an
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
