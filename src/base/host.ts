/**
 * The host's clock, timers and queues, stored when gyre is imported.
 *
 * Fake timers of test runners replace the globals later. A loop that uses a real timer and a fake clock would
 * hang without a message. So all functions are stored at the same moment, and every other file imports them
 * from here.
 */
import { LoopError } from './errors.ts';

export const hostSetTimeout: typeof setTimeout = setTimeout;
export const hostClearTimeout: typeof clearTimeout = clearTimeout;
export const hostSetInterval: typeof setInterval = setInterval;
export const hostClearInterval: typeof clearInterval = clearInterval;
export const hostSetImmediate: typeof setImmediate = setImmediate;
export const hostQueueMicrotask: typeof queueMicrotask = queueMicrotask;
export const hostNextTick: typeof process.nextTick = process.nextTick;

/** Returns the monotonic time in milliseconds. */
export const hostNow: () => number = performance.now.bind(performance);

/** The time at which {@link hostNow} was 0, in milliseconds since 1970. */
export const hostOrigin: number = performance.timeOrigin;

interface Utilization {
  readonly utilization: number;
  /** Milliseconds. */
  readonly active: number;
  readonly idle: number;
}

const { eventLoopUtilization } = performance as { eventLoopUtilization?: () => Utilization };

/**
 * Returns the time since the start of the thread in which it was active or idle. null: the host (Deno, Bun)
 * has no such function, or one that counts nothing.
 */
export function hostUtilization(): Utilization | null {
  const facts = eventLoopUtilization?.call(performance) ?? null;
  return facts === null || facts.active + facts.idle === 0 ? null : facts;
}

/** The host's functions by their real names. A fake timer has another name, or marks itself as a fake. */
const hostFunctions: Readonly<Record<string, unknown>> = {
  setTimeout: hostSetTimeout,
  clearTimeout: hostClearTimeout,
  setInterval: hostSetInterval,
  clearInterval: hostClearInterval,
  setImmediate: hostSetImmediate,
  queueMicrotask: hostQueueMicrotask,
  nextTick: hostNextTick,
  now: performance.now,
};

const faked: readonly string[] = Object.entries(hostFunctions)
  .filter(([name, fn]) => isFake(name, fn as FakeableFunction))
  .map(([name]) => name);

interface FakeableFunction {
  readonly name: string;
  /** Set by @sinonjs/fake-timers, which Jest and Vitest use. */
  readonly clock?: unknown;
  /** Set by Jest's older fakes. */
  readonly _isMockFunction?: unknown;
}

function isFake(name: string, fn: FakeableFunction): boolean {
  return fn.clock !== undefined || fn._isMockFunction !== undefined || fn.name !== name;
}

/**
 * Throws if fake timers were active when gyre was imported, because its loops would never be called.
 *
 * @throws LoopError `ERR_UNSUPPORTED`, with the names of the fake functions
 */
export function checkHost(): void {
  if (faked.length === 0) return;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `${faked.join(', ')} had been replaced by fake timers when gyre was imported, and no loop can run on fake timers: ` +
      'import gyre before the fake timers are enabled; for virtual time, use SimulatedEventLoop of gyre/sim',
  );
}
