/** A process of a simulated host: an installed program that runs, as its kernel sees it. */
import { LoopError } from '../../../base/errors.ts';
import type { Channel } from '../channel.ts';
import { LOOPBACK_SECONDS } from '../fabric/fabric.ts';
import type { SimHost } from '../host.ts';
import { defaultActionOf, ProgramSignals, SIGKILL, signalName } from './signals.ts';

/** One of stdin, stdout and stderr. */
export interface StandardStream {
  readonly channel: Channel;
  /** Closes the process's own reference. Other processes may have the same stream. */
  close(): void;
}

export interface ProcessFacts {
  readonly pid: number;
  /** The name as which the program was started, and its arguments. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  /** It has a session and a process group of its own. */
  readonly detached: boolean;
  /** Descriptors of the host, beside the standard streams, that the parent has passed on. */
  readonly descriptors: readonly number[];
  /** stdin, stdout, stderr. */
  readonly stdio: readonly [StandardStream, StandardStream, StandardStream];
}

export class SimProcess {
  readonly facts: ProcessFacts;
  readonly signals: ProgramSignals;
  /** Called once when it ends, before its parent learns of it. */
  readonly onEnd: (() => void)[] = [];
  readonly #host: SimHost;
  readonly #onExit: (code: number) => void;
  #code: number | null = null;

  /** @param onExit told of the exit code, or the negative number of a signal */
  constructor(host: SimHost, facts: ProcessFacts, onExit: (code: number) => void) {
    this.#host = host;
    this.facts = facts;
    this.#onExit = onExit;
    this.signals = new ProgramSignals(host);
    this.signals.onDefault = (signum) => this.#end(-signum);
  }

  get host(): SimHost {
    return this.#host;
  }

  get alive(): boolean {
    return this.#code === null;
  }

  /** Ends the process. Does nothing after its end. */
  exit(code: number): void {
    this.#end(code & 0xff);
  }

  /**
   * Sends a signal; 0 sends none. Returns false after the end.
   *
   * @throws LoopError `ERR_UNSUPPORTED` for a signal that would stop the process
   */
  kill(signum: number): boolean {
    if (!this.alive) return false;
    if (defaultActionOf(signum) === 'stop' && !this.signals.handles(signum)) {
      throw new LoopError(
        'ERR_UNSUPPORTED',
        `${signalName(signum)}: a simulated process cannot be stopped; pause its host instead`,
      );
    }
    if (signum === SIGKILL) this.#end(-signum);
    else if (signum > 0) this.#host.soon(() => this.alive && this.signals.deliver(signum));
    return true;
  }

  /** Ends the process with its host, without a report. */
  vanish(): void {
    if (this.#code !== null) return;
    this.#code = -SIGKILL;
    this.signals.clear();
    for (const callback of this.onEnd.splice(0)) callback();
  }

  #end(code: number): void {
    if (this.#code !== null) return;
    this.vanish();
    this.#code = code;
    for (const stream of this.facts.stdio) stream.close();
    this.#host.kernelAfter(LOOPBACK_SECONDS, () => this.#onExit(code));
  }
}
