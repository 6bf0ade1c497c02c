/** Signals on a simulated host. */
import { outOfRange } from '../../../base/validate.ts';
import type { RawRequest, Signals } from '../../backend.ts';
import type { SimHost } from '../host.ts';

/** The numbers of Linux. */
export const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGIOT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPOLL: 29,
  SIGPWR: 30,
  SIGSYS: 31,
  SIGRTMIN: 34,
  SIGRTMAX: 64,
};

export const SIGKILL = 9;
const SIGSTOP = 19;
/** `SIGCHLD SIGCONT SIGURG SIGWINCH`: their default action is to do nothing. Node ignores the last two. */
const IGNORED: readonly number[] = [17, 18, 23, 28, 13, 25];
/** `SIGSTOP SIGTSTP SIGTTIN SIGTTOU` */
const STOPPING: readonly number[] = [SIGSTOP, 20, 21, 22];

export type DefaultAction = 'end' | 'stop' | 'ignore';

/** Returns the default action of a signal. */
export function defaultActionOf(signum: number): DefaultAction {
  if (STOPPING.includes(signum)) return 'stop';
  return IGNORED.includes(signum) ? 'ignore' : 'end';
}

/** Returns the name of a signal, or its number as text. */
export function signalName(signum: number): string {
  return Object.keys(SIGNALS).find((name) => SIGNALS[name] === signum) ?? String(signum);
}

/** The handlers of one program: those of all its loops. */
export class ProgramSignals implements Signals {
  readonly numbers: Readonly<Record<string, number>> = SIGNALS;
  /**
   * Called for a signal without a handler, if its default action is not to ignore it. The world ends or stops
   * the program.
   */
  onDefault: (signum: number, action: DefaultAction) => void = () => {};
  readonly #host: SimHost;
  readonly #handlers: Map<number, Set<() => void>> = new Map();
  readonly #interrupts: Map<number, Set<() => void>> = new Map();
  /** Those of `process.on()`. */
  readonly #listeners: Map<number, Set<() => void>> = new Map();

  constructor(host: SimHost) {
    this.#host = host;
  }

  handle(signum: number, callback: () => void): RawRequest {
    if (signum === SIGKILL || signum === SIGSTOP) {
      throw outOfRange('signum', signalName(signum), 'a signal that can be handled');
    }
    return add(this.#handlers, signum, callback);
  }

  interrupt(signum: number, callback: () => void): RawRequest {
    return add(this.#interrupts, signum, callback);
  }

  /** Adds a listener of the program itself. While there is one, interrupts are not called. */
  listen(signum: number, callback: () => void): RawRequest {
    return add(this.#listeners, signum, callback);
  }

  /** Returns true if a loop of the program has a handler. */
  handles(signum: number): boolean {
    return (this.#handlers.get(signum)?.size ?? 0) > 0;
  }

  /** Sends a signal to the program. A handler of a paused host is called when the host resumes. */
  deliver(signum: number): void {
    const listeners = this.#listeners.get(signum) ?? [];
    const others = [...listeners].length > 0 ? listeners : (this.#interrupts.get(signum) ?? []);
    const handlers = [...(this.#handlers.get(signum) ?? []), ...others];
    const action = defaultActionOf(signum);
    if (handlers.length === 0 && action !== 'ignore') this.onDefault(signum, action);
    for (const handler of handlers) {
      if (this.#host.state === 'paused') this.#host.soon(handler);
      else handler();
    }
  }

  /** Removes all handlers. */
  clear(): void {
    this.#handlers.clear();
    this.#interrupts.clear();
    this.#listeners.clear();
  }
}

function add(to: Map<number, Set<() => void>>, signum: number, callback: () => void): RawRequest {
  let entries = to.get(signum);
  if (entries === undefined) {
    entries = new Set();
    to.set(signum, entries);
  }
  const entry = (): void => callback();
  entries.add(entry);
  return { cancel: () => entries.delete(entry) };
}
