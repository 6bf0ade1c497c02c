/**
 * Signals of the operating system.
 *
 * Facts. Node catches a signal from the first listener of its name on, and the last one gone restores the
 * system's default action; its watchers keep no process alive. It has no name, and so no way, for real-time
 * signals (`process.binding` was one, until Node 24). No signal comes to a worker thread. Node ignores
 * SIGPIPE and SIGXFSZ from its start on, so that writing to a broken pipe fails instead of killing; the last
 * listener gone would end that. More than ten listeners of a name are a warning.
 *
 * What this means. Each name has one listener here, for all loops of the process; and that of those two
 * signals stays.
 */

import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { LoopError } from '../../base/errors.ts';
import { hostNextTick } from '../../base/host.ts';
import { outOfRange } from '../../base/validate.ts';
import type { RawRequest } from '../backend.ts';

type SignalName = keyof typeof constants.signals;
type Callback = () => void;

/** The C library keeps 32 and 33 for itself. */
const REAL_TIME: Record<string, number> = process.platform === 'linux' ? { SIGRTMIN: 34, SIGRTMAX: 64 } : {};

/** By name. */
export const SIGNALS: Readonly<Record<string, number>> = { ...constants.signals, ...REAL_TIME };

const IGNORED_BY_NODE: readonly string[] = ['SIGPIPE', 'SIGXFSZ'];
const UNCATCHABLE: readonly string[] = ['SIGKILL', 'SIGSTOP'];

/** The one listener of a name, and who is told. */
class Watch {
  /** Told of each signal. */
  readonly handlers: Set<Callback> = new Set();
  /** Told while nobody else in the program listens. */
  readonly interrupts: Set<Callback> = new Set();
  readonly #name: SignalName;

  constructor(name: SignalName) {
    this.#name = name;
  }

  add(to: Set<Callback>, callback: Callback): RawRequest {
    const entry = (): void => callback();
    to.add(entry);
    this.update();
    return {
      cancel: () => {
        to.delete(entry);
        this.update();
      },
    };
  }

  /**
   * Beside others it does not listen for interrupts alone: there are libraries that kill if they are the only
   * listener.
   */
  update(): void {
    const listens = this.#listens();
    const wanted =
      this.handlers.size > 0 ||
      (this.interrupts.size > 0 && this.#others() === 0) ||
      (listens && IGNORED_BY_NODE.includes(this.#name));
    if (wanted === listens) return;
    if (wanted) process.on(this.#name, this.#tell);
    else process.removeListener(this.#name, this.#tell);
  }

  #tell = (): void => {
    for (const callback of [...this.handlers]) callback();
    if (this.#others() > 0) return;
    for (const callback of [...this.interrupts]) callback();
  };

  #listens(): boolean {
    return process.listeners(this.#name).includes(this.#tell);
  }

  #others(): number {
    return process.listenerCount(this.#name) - (this.#listens() ? 1 : 0);
  }
}

const watches: Map<string | symbol, Watch> = new Map();

function watchOf(signum: number): Watch {
  // Of several names for one number the first: SIGABRT, not SIGIOT.
  const names = Object.keys(constants.signals) as SignalName[];
  const name = names.find((known) => constants.signals[known] === signum);
  if (name === undefined) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      `signal ${signum} is a real-time signal: Node handles only signals that have a name of their own`,
    );
  }
  if (UNCATCHABLE.includes(name)) throw outOfRange('signum', name, 'a signal that can be handled');
  let watch = watches.get(name);
  if (watch === undefined) {
    watch = new Watch(name);
    watches.set(name, watch);
  }
  return watch;
}

export function onSignal(signum: number, callback: Callback): RawRequest {
  const watch = watchOf(signum);
  if (isMainThread) return watch.add(watch.handlers, callback);
  throw new LoopError(
    'ERR_SIGNAL_SETUP',
    'signals come to the main thread only: a handler would never be called on this one',
  );
}

/** Only while there are interrupts does it matter who else listens. */
let interrupts = 0;

export function onInterrupt(signum: number, callback: Callback): RawRequest {
  if (!isMainThread) return { cancel: () => {} };
  const watch = watchOf(signum);
  const request = watch.add(watch.interrupts, callback);
  if (interrupts++ === 0) {
    process.on('newListener', listenerAdded);
    process.on('removeListener', listenerRemoved);
  }
  let pending = true;
  return {
    cancel: () => {
      if (!pending) return;
      pending = false;
      request.cancel();
      if (--interrupts > 0) return;
      process.removeListener('newListener', listenerAdded);
      process.removeListener('removeListener', listenerRemoved);
    },
  };
}

/**
 * Node tells before the listener is there, and ours may go only then: with none at all the signal would kill.
 */
function listenerAdded(event: string | symbol): void {
  const watch = watches.get(event);
  if (watch !== undefined) hostNextTick(() => watch.update());
}

function listenerRemoved(event: string | symbol): void {
  watches.get(event)?.update();
}
