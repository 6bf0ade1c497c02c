/** Chooses a loop: the running one, this thread's, or a new one. */

import { drainName } from './base/drain.ts';
import { LoopError } from './base/errors.ts';
import { checkFunction, invalidArgType } from './base/validate.ts';
import { BaseEventLoop } from './event-loop.ts';
import { runningLoopOrNull } from './loop/context.ts';
import { NodeEventLoop } from './loops/node-event-loop.ts';
import { UvEventLoop, whyNoNativeBackend } from './loops/uv-event-loop.ts';
import { node } from './platform/node-modules.ts';

/** Decides which loop a thread has, and how a new loop is made. */
export interface EventLoopPolicy {
  /** Returns this thread's loop. Throws if there is none. */
  getEventLoop(): BaseEventLoop;
  setEventLoop(loop: BaseEventLoop | null): void;
  newEventLoop(): BaseEventLoop;
}

/** The backend of new loops, and the reason for it. */
export interface BackendInfo {
  /**
   * `node`: Node's own API, on every host that provides it. `uv`: the native backend. `sim`: the simulated
   * backend, for code of a simulated host.
   */
  backend: 'node' | 'uv' | 'sim';
  reason: string;
  /**
   * The way in which the loops of this thread run the host's microtasks after each callback. `tick` and
   * `jsc`: at once, with a function of Node or of Bun. `host`: by returning to the host, which is slower and
   * has the same order; `GYRE_DRAIN=host` in the environment forces it. null: no loop of this thread has run
   * yet.
   */
  drain: 'tick' | 'jsc' | 'host' | null;
}

/**
 * Returns the backend that `newEventLoop()` uses, and the reason. The native backend is used if it is
 * available: it needs Node itself and a build for the platform. Otherwise the portable one is used. If a
 * native build exists but cannot be loaded, the process emits one warning. `GYRE_BACKEND=node` and
 * `GYRE_BACKEND=uv` in the environment force the choice. The result also has the way in which the loops drain
 * microtasks.
 *
 * @throws LoopError `ERR_UNSUPPORTED` if `GYRE_BACKEND` names a backend that is not available
 *
 * @example
 * ```ts
 * import { backendInfo } from 'gyre';
 *
 * const { backend, reason } = backendInfo();
 * console.log(`${backend}: ${reason}`); // uv: the native backend is available
 * ```
 */
export function backendInfo(): BackendInfo {
  return { ...chosenBackend(), drain: drainName() };
}

type Chosen = Omit<BackendInfo, 'drain'>;

/** A program of a simulated host: it has loops of that host, and a policy of its own. */
export interface PolicyPlace {
  /** The name for messages: `host server`. */
  readonly where: string;
  /** null: the default policy, which is made on first use. */
  policy: EventLoopPolicy | null;
  newEventLoop(): BaseEventLoop;
}

let currentPlace: () => PolicyPlace | null = () => null;

/**
 * Sets the function that finds the simulated program whose code is calling. `gyre/sim` calls it once, so that
 * this module need not load the simulator. @internal
 */
export function usePlaces(current: () => PolicyPlace | null): void {
  currentPlace = current;
}

function chosenBackend(): Chosen {
  const place = currentPlace();
  if (place !== null) return { backend: 'sim', reason: `this is code of ${place.where} in a simulation` };
  const forced = process.env.GYRE_BACKEND;
  switch (forced) {
    case undefined:
    case '':
      return bestBackend();
    case 'node':
      return { backend: 'node', reason: 'GYRE_BACKEND requests it' };
    case 'uv': {
      const missing = whyNoNativeBackend();
      if (missing === null) return { backend: 'uv', reason: 'GYRE_BACKEND requests it' };
      throw new LoopError('ERR_UNSUPPORTED', `GYRE_BACKEND=uv: ${missing.reason}`);
    }
    default:
      throw new LoopError(
        'ERR_UNSUPPORTED',
        `GYRE_BACKEND=${forced}: the valid names are node and uv (for the simulated loop, use its class)`,
      );
  }
}

let hasWarned = false;

function bestBackend(): Chosen {
  const missing = whyNoNativeBackend();
  if (missing === null) return { backend: 'uv', reason: 'the native backend is available' };
  // No warning if there is no native build, because nothing is broken then.
  if (missing.broken && !hasWarned) {
    hasWarned = true;
    process.emitWarning(`the portable backend is used, because ${missing.reason}`, {
      code: 'GYRE_NO_NATIVE',
    });
  }
  return { backend: 'node', reason: missing.reason };
}

/**
 * asyncio's default policy: the main thread gets a loop at the first request; a worker thread must set its
 * loop.
 *
 * @example
 * ```ts
 * import { DefaultEventLoopPolicy, setEventLoopPolicy } from 'gyre';
 * import { SimulatedEventLoop } from 'gyre/sim';
 *
 * class VirtualTimePolicy extends DefaultEventLoopPolicy {
 *   override newEventLoop() {
 *     return new SimulatedEventLoop();
 *   }
 * }
 * setEventLoopPolicy(new VirtualTimePolicy());
 * ```
 */
export class DefaultEventLoopPolicy implements EventLoopPolicy {
  #loop: BaseEventLoop | null = null;
  #wasSet: boolean = false;

  /**
   * @throws LoopError `ERR_NO_EVENT_LOOP` on a worker thread without a loop, and after `setEventLoop(null)`
   */
  getEventLoop(): BaseEventLoop {
    if (this.#loop === null && !this.#wasSet && node.worker_threads.isMainThread)
      this.setEventLoop(this.newEventLoop());
    if (this.#loop === null) {
      const where = node.worker_threads.isMainThread ? 'the main thread' : 'this worker thread';
      throw new LoopError(
        'ERR_NO_EVENT_LOOP',
        `no event loop was set for ${where}: call setEventLoop() first`,
      );
    }
    return this.#loop;
  }

  /** Sets this thread's loop. null removes it, and then the thread has none. */
  setEventLoop(loop: BaseEventLoop | null): void {
    checkLoop(loop);
    this.#wasSet = true;
    this.#loop = loop;
  }

  /** Returns a new loop with the backend that {@link backendInfo} names. */
  newEventLoop(): BaseEventLoop {
    const place = currentPlace();
    if (place !== null) return place.newEventLoop();
    return chosenBackend().backend === 'uv' ? new UvEventLoop() : new NodeEventLoop();
  }
}

let policy: EventLoopPolicy | null = null;

/**
 * Returns the current policy, which is made on first use. Each program of a simulated host has its own.
 *
 * @example
 * ```ts
 * import { DefaultEventLoopPolicy, getEventLoopPolicy } from 'gyre';
 *
 * console.log(getEventLoopPolicy() instanceof DefaultEventLoopPolicy); // true
 * ```
 */
export function getEventLoopPolicy(): EventLoopPolicy {
  const place = currentPlace();
  if (place !== null) {
    place.policy ??= new DefaultEventLoopPolicy();
    return place.policy;
  }
  policy ??= new DefaultEventLoopPolicy();
  return policy;
}

/**
 * Replaces the policy, which makes the loops of `getEventLoop()` and `newEventLoop()`.
 *
 * @param newPolicy null restores a new default policy
 * @throws TypeError if it is not a policy
 *
 * @example
 * ```ts
 * import { getEventLoopPolicy, setEventLoopPolicy } from 'gyre';
 *
 * const before = getEventLoopPolicy();
 * setEventLoopPolicy(null);
 * console.log(getEventLoopPolicy() === before); // false
 * ```
 */
export function setEventLoopPolicy(newPolicy: EventLoopPolicy | null): void {
  if (newPolicy !== null) {
    if (typeof newPolicy !== 'object') throw invalidArgType('policy', newPolicy, 'a policy or null');
    checkFunction('policy.getEventLoop', newPolicy.getEventLoop);
    checkFunction('policy.setEventLoop', newPolicy.setEventLoop);
    checkFunction('policy.newEventLoop', newPolicy.newEventLoop);
  }
  const place = currentPlace();
  if (place === null) policy = newPolicy;
  else place.policy = newPolicy;
}

/**
 * Returns the running loop if the caller is code of a loop, otherwise the policy's loop for this thread.
 * Never null.
 *
 * @throws LoopError `ERR_NO_EVENT_LOOP` on a worker thread for which no loop was set
 *
 * @example
 * ```ts
 * import { getEventLoop } from 'gyre';
 *
 * const loop = getEventLoop();
 * loop.callSoon(() => {
 *   console.log(getEventLoop() === loop); // true
 *   loop.stop();
 * });
 * await loop.runForever();
 * ```
 */
export function getEventLoop(): BaseEventLoop {
  return (runningLoopOrNull() as BaseEventLoop | null) ?? getEventLoopPolicy().getEventLoop();
}

/**
 * Sets this thread's loop, for {@link getEventLoop}.
 *
 * @param loop null removes it: then the thread has no loop, and no new one is made
 * @throws TypeError if it is not a loop
 *
 * @example
 * ```ts
 * import { getEventLoop, newEventLoop, setEventLoop } from 'gyre';
 *
 * const loop = newEventLoop();
 * setEventLoop(loop);
 * console.log(getEventLoop() === loop); // true
 * loop.close();
 * ```
 */
export function setEventLoop(loop: BaseEventLoop | null): void {
  checkLoop(loop);
  getEventLoopPolicy().setEventLoop(loop);
}

/**
 * Returns a new loop of the kind that the policy chooses. Close it after use.
 *
 * @example
 * ```ts
 * import { newEventLoop } from 'gyre';
 *
 * using loop = newEventLoop();
 * console.log(await loop.runUntilComplete(async () => 42)); // 42
 * ```
 */
export function newEventLoop(): BaseEventLoop {
  return getEventLoopPolicy().newEventLoop();
}

/**
 * Returns the loop that runs the calling callback or task.
 *
 * @throws LoopError `ERR_NO_RUNNING_LOOP` outside of a loop
 *
 * @example
 * ```ts
 * import { getRunningLoop, run } from 'gyre';
 *
 * await run(async () => {
 *   getRunningLoop().callSoon(() => console.log('in the next turn'));
 * });
 * ```
 */
export function getRunningLoop(): BaseEventLoop {
  const loop = runningLoopOrNull();
  if (loop === null) {
    throw new LoopError(
      'ERR_NO_RUNNING_LOOP',
      'no event loop is running here: call this from a callback or a task of a loop',
    );
  }
  return loop as BaseEventLoop;
}

function checkLoop(loop: unknown): void {
  if (loop !== null && !(loop instanceof BaseEventLoop)) {
    throw invalidArgType('loop', loop, 'an event loop or null');
  }
}
