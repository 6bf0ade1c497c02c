/**
 * The events of `process` in a simulated program: its signals, its end, and its uncaught errors. Listeners
 * for other events stay with the real process.
 */
import { EventEmitter } from 'node:events';
import type { RawRequest } from '../backend/backend.ts';
import { systemError } from '../backend/sim/errors.ts';
import type { ProgramSignals } from '../backend/sim/machine/signals.ts';
import { SIGNALS } from '../backend/sim/machine/signals.ts';

const OWN: ReadonlySet<string | symbol> = new Set(['exit', 'uncaughtException', 'unhandledRejection']);
const INTERNAL: ReadonlySet<string | symbol> = new Set(['newListener', 'removeListener']);
const UNCATCHABLE: ReadonlySet<string> = new Set(['SIGKILL', 'SIGSTOP']);

/** Returns true for an event that belongs to a program and not to the real process. */
export function isProgramEvent(event: unknown): boolean {
  return typeof event === 'string' && (OWN.has(event) || Object.hasOwn(SIGNALS, event));
}

export class ProgramEvents extends EventEmitter {
  readonly #signals: ProgramSignals;
  readonly #call: (callback: () => void) => void;
  readonly #requests: Map<string, RawRequest> = new Map();

  /** @param call runs a callback as code of the program */
  constructor(signals: ProgramSignals, call: (callback: () => void) => void) {
    super();
    this.#signals = signals;
    this.#call = call;
    this.setMaxListeners(0);
    super.on('newListener', (event: string) => this.#listen(event));
    super.on('removeListener', (event: string) => this.#unlisten(event));
  }

  /** Keeps the two listeners of this class itself. */
  override removeAllListeners(event?: string | symbol): this {
    const events = event === undefined ? this.eventNames() : [event];
    for (const name of events) if (!INTERNAL.has(name)) super.removeAllListeners(name);
    return this;
  }

  /**
   * Calls the listeners for an error that nothing has caught. As in Node, a rejection without a listener is
   * an uncaught exception.
   *
   * @returns false if there is none
   */
  takeError(event: 'uncaughtException' | 'unhandledRejection', args: readonly unknown[]): boolean {
    if (this.listenerCount(event) > 0) {
      this.#call(() => this.emit(event, ...args));
      return true;
    }
    return event === 'unhandledRejection' && this.takeError('uncaughtException', [args[0], event]);
  }

  #listen(event: string): void {
    const signum = SIGNALS[event];
    if (signum === undefined || this.#requests.has(event)) return;
    if (UNCATCHABLE.has(event)) throw systemError('EINVAL', 'uv_signal_start');
    const tell = (): void => this.#call(() => this.emit(event, event, signum));
    this.#requests.set(event, this.#signals.listen(signum, tell));
  }

  #unlisten(event: string): void {
    if (this.listenerCount(event) > 0) return;
    this.#requests.get(event)?.cancel();
    this.#requests.delete(event);
  }
}
