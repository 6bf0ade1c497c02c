/**
 * Signals of the operating system.
 *
 * Node catches a signal while its name has a listener, and the removal of the last listener restores the
 * system's default action. The listeners do not keep the process alive. Node has no names for real-time
 * signals, so it cannot handle them (`process.binding` could, before Node 24). Worker threads receive no
 * signals. Node ignores SIGPIPE and SIGXFSZ from its start, so that writing to a broken pipe fails and does
 * not kill the process; removing the last listener would end that. More than ten listeners of a name cause a
 * warning.
 *
 * So each name has one listener here, for all loops of the process, and the listeners of SIGPIPE and SIGXFSZ
 * are never removed.
 */

import { constants } from 'node:os';
import { LoopError } from '../../base/errors.ts';
import { hostNextTick } from '../../base/host.ts';
import { UnusableError } from '../../base/unusable.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawRequest } from '../backend.ts';

type SignalName = keyof typeof constants.signals;
type Callback = () => void;

/** The C library reserves 32 and 33. */
const REAL_TIME: Record<string, number> = process.platform === 'linux' ? { SIGRTMIN: 34, SIGRTMAX: 64 } : {};

/** Signal numbers by name. */
export const SIGNALS: Readonly<Record<string, number>> = { ...constants.signals, ...REAL_TIME };

const IGNORED_BY_NODE: readonly string[] = ['SIGPIPE', 'SIGXFSZ'];
const UNCATCHABLE: readonly string[] = ['SIGKILL', 'SIGSTOP'];

/** The single listener of a name, and its callbacks. */
class Watch {
  /** Called at each signal. */
  readonly handlers: Set<Callback> = new Set();
  /** Called while no other code of the program listens. */
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
   * Adds or removes the listener. If other listeners exist, it does not listen for interrupts, because some
   * libraries kill the process if they are the only listener.
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
  // If a number has several names, use the first: SIGABRT, not SIGIOT.
  const names = Object.keys(constants.signals) as SignalName[];
  const name = names.find((known) => constants.signals[known] === signum);
  if (name === undefined) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      `signal ${signum} is a real-time signal: Node can handle only signals that have a name`,
    );
  }
  if (UNCATCHABLE.includes(name)) throw new UnusableError(name, 'a signal that can be handled');
  let watch = watches.get(name);
  if (watch === undefined) {
    watch = new Watch(name);
    watches.set(name, watch);
  }
  return watch;
}

export function onSignal(signum: number, callback: Callback): RawRequest {
  const watch = watchOf(signum);
  if (node.worker_threads.isMainThread) return watch.add(watch.handlers, callback);
  throw new LoopError(
    'ERR_SIGNAL_SETUP',
    'only the main thread receives signals: a handler on this thread would never be called',
  );
}

/** The number of interrupts. Other listeners matter only while it is not zero. */
let interrupts = 0;

export function onInterrupt(signum: number, callback: Callback): RawRequest {
  if (!node.worker_threads.isMainThread) return { cancel: () => {} };
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
 * Node calls this before it adds the new listener. Update later: without any listener, a signal would kill
 * the process.
 */
function listenerAdded(event: string | symbol): void {
  const watch = watches.get(event);
  if (watch !== undefined) hostNextTick(() => watch.update());
}

function listenerRemoved(event: string | symbol): void {
  watches.get(event)?.update();
}
