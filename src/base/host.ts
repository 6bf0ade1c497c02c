/**
 * The host's clock, timers and queues, taken when gyre is imported.
 *
 * Fake timers of test runners replace the globals later. A loop that armed a real timer and read a faked
 * clock would hang without a word, so everything here is taken at one moment, and every other file takes it
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

/** Monotonic milliseconds. */
export const hostNow: () => number = performance.now.bind(performance);

/** The names that the host gives to its own functions. Fake timers do not keep them, or mark themselves. */
const taken: Readonly<Record<string, unknown>> = {
  setTimeout: hostSetTimeout,
  clearTimeout: hostClearTimeout,
  setInterval: hostSetInterval,
  clearInterval: hostClearInterval,
  setImmediate: hostSetImmediate,
  queueMicrotask: hostQueueMicrotask,
  nextTick: hostNextTick,
  now: performance.now,
};

const faked: readonly string[] = Object.entries(taken)
  .filter(([name, fn]) => isFake(name, fn as FakeableFunction))
  .map(([name]) => name);

interface FakeableFunction {
  readonly name: string;
  /** @sinonjs/fake-timers, and with it Jest and Vitest. */
  readonly clock?: unknown;
  /** Jest's older fakes. */
  readonly _isMockFunction?: unknown;
}

function isFake(name: string, fn: FakeableFunction): boolean {
  return fn.clock !== undefined || fn._isMockFunction !== undefined || fn.name !== name;
}

/**
 * Throws when fake timers were there before gyre: its loops would never be called.
 *
 * @throws LoopError `ERR_UNSUPPORTED`, naming the faked functions
 */
export function checkHost(): void {
  if (faked.length === 0) return;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `${faked.join(', ')} had been replaced by fake timers when gyre was imported, and no loop can run on these: ` +
      'import gyre before the fake timers are enabled; for virtual time there is SimulatedEventLoop of gyre/sim',
  );
}
