/** Which loop: the running one, this thread's, a new one. */
import { isMainThread } from 'node:worker_threads';
import { drainName } from './base/drain.ts';
import { LoopError } from './base/errors.ts';
import { checkFunction, invalidArgType } from './base/validate.ts';
import { BaseEventLoop } from './event-loop.ts';
import { runningLoopOrNull } from './loop/context.ts';
import { NodeEventLoop } from './loops/node-event-loop.ts';
import { UvEventLoop, whyNoNativeBackend } from './loops/uv-event-loop.ts';

/** Decides which loop a thread has, and what a new one is. */
export interface EventLoopPolicy {
  /** This thread's loop; throws rather than answering nothing. */
  getEventLoop(): BaseEventLoop;
  setEventLoop(loop: BaseEventLoop | null): void;
  newEventLoop(): BaseEventLoop;
}

/** Which backend new loops get, and why. */
export interface BackendInfo {
  /** `node`: Node's own API, wherever that runs. `uv`: the native one. */
  backend: 'node' | 'uv';
  reason: string;
  /**
   * How the loops of this thread run the host's microtasks behind each callback. `tick` and `jsc`: at once,
   * by a function of Node or of Bun. `host`: by returning to the host, which is slower and has the same
   * order; `GYRE_DRAIN=host` in the environment forces it. Null: no loop of this thread has run yet.
   */
  drain: 'tick' | 'jsc' | 'host' | null;
}

/**
 * Says which backend `newEventLoop()` uses, and why: the native one where it is there, which takes real Node
 * and a build for the platform; else the portable one. A native build that is there and cannot be loaded is
 * told of by one warning of the process. `GYRE_BACKEND=node` and `GYRE_BACKEND=uv` in the environment force
 * the choice. It also says how the loops drain microtasks.
 *
 * @throws LoopError `ERR_UNSUPPORTED` when `GYRE_BACKEND` names a backend that is not there
 *
 * @example
 * ```ts
 * import { backendInfo } from 'gyre';
 *
 * const { backend, reason } = backendInfo();
 * console.log(`${backend}: ${reason}`); // uv: the native backend is there
 * ```
 */
export function backendInfo(): BackendInfo {
  return { ...chosenBackend(), drain: drainName() };
}

type Chosen = Omit<BackendInfo, 'drain'>;

function chosenBackend(): Chosen {
  const forced = process.env.GYRE_BACKEND;
  switch (forced) {
    case undefined:
    case '':
      return bestBackend();
    case 'node':
      return { backend: 'node', reason: 'GYRE_BACKEND asks for it' };
    case 'uv': {
      const missing = whyNoNativeBackend();
      if (missing === null) return { backend: 'uv', reason: 'GYRE_BACKEND asks for it' };
      throw new LoopError('ERR_UNSUPPORTED', `GYRE_BACKEND=uv: ${missing.reason}`);
    }
    default:
      throw new LoopError(
        'ERR_UNSUPPORTED',
        `GYRE_BACKEND=${forced}: there are node and uv (the simulated loop is made by its own class)`,
      );
  }
}

let hasWarned = false;

function bestBackend(): Chosen {
  const missing = whyNoNativeBackend();
  if (missing === null) return { backend: 'uv', reason: 'the native backend is there' };
  // That there is none is nobody's mistake.
  if (missing.broken && !hasWarned) {
    hasWarned = true;
    process.emitWarning(`the portable backend is used, because ${missing.reason}`, {
      code: 'GYRE_NO_NATIVE',
    });
  }
  return { backend: 'node', reason: missing.reason };
}

/**
 * asyncio's default policy: the main thread gets a loop when it first asks; a worker thread has to set one.
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

  /** @throws LoopError `ERR_NO_EVENT_LOOP` on a worker thread, or after `setEventLoop(null)` */
  getEventLoop(): BaseEventLoop {
    if (this.#loop === null && !this.#wasSet && isMainThread) this.setEventLoop(this.newEventLoop());
    if (this.#loop === null) {
      const where = isMainThread ? 'the main thread' : 'this worker thread';
      throw new LoopError(
        'ERR_NO_EVENT_LOOP',
        `no event loop was set for ${where}: call setEventLoop() first`,
      );
    }
    return this.#loop;
  }

  /** Sets this thread's loop; null takes it away, and then there is none. */
  setEventLoop(loop: BaseEventLoop | null): void {
    checkLoop(loop);
    this.#wasSet = true;
    this.#loop = loop;
  }

  /** A new loop over the backend that {@link backendInfo} names. */
  newEventLoop(): BaseEventLoop {
    return chosenBackend().backend === 'uv' ? new UvEventLoop() : new NodeEventLoop();
  }
}

let policy: EventLoopPolicy | null = null;

/**
 * The policy in force; made on first use.
 *
 * @example
 * ```ts
 * import { DefaultEventLoopPolicy, getEventLoopPolicy } from 'gyre';
 *
 * console.log(getEventLoopPolicy() instanceof DefaultEventLoopPolicy); // true
 * ```
 */
export function getEventLoopPolicy(): EventLoopPolicy {
  policy ??= new DefaultEventLoopPolicy();
  return policy;
}

/**
 * Replaces the policy, from which `getEventLoop()` and `newEventLoop()` get their loops.
 *
 * @param newPolicy null restores a fresh default one
 * @throws TypeError when it is no policy
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
  policy = newPolicy;
}

/**
 * The running loop when called from its code, else this thread's loop by the policy. Never null.
 *
 * @throws LoopError `ERR_NO_EVENT_LOOP` on a worker thread where none was set
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
 * @param loop null takes it away: then there is none, not a new one
 * @throws TypeError when it is no loop
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
 * A new loop of the kind that the policy chooses. Close it when it is done.
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
 * The loop whose callback or task this is.
 *
 * @throws LoopError `ERR_NO_RUNNING_LOOP` elsewhere
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
      'no event loop is running here: this is no callback or task of one',
    );
  }
  return loop as BaseEventLoop;
}

function checkLoop(loop: unknown): void {
  if (loop !== null && !(loop instanceof BaseEventLoop)) {
    throw invalidArgType('loop', loop, 'an event loop or null');
  }
}
