/**
 * The virtual clock: time stands still while anything is ready, and jumps to the next deadline when nothing
 * is.
 *
 * Each turn drains what it resumes, so when a loop rests it has scheduled all that it will. Before a jump the
 * host has the thread once, for a pass through its check phase: signals, and real work that somebody awaits,
 * are served before time moves. Nothing here depends on how fast the machine is.
 */

import { checkHost, hostClearInterval, hostSetImmediate, hostSetInterval } from '../../base/host.ts';
import type { Turns } from '../backend.ts';

const HOUR_MS = 3_600_000;

export class VirtualClock {
  /** Seconds. Doubles tell nanoseconds apart for the first three months. */
  readonly resolution = 1e-9;
  #now: number;
  #turns: Turns | null = null;
  #keepAlive: NodeJS.Timeout | null = null;
  /** `run()` is wanted at this moment of time. */
  #woken: boolean = false;
  /** The host will call. */
  #called: boolean = false;

  /**
   * @throws LoopError `ERR_UNSUPPORTED` over fake timers: between two moments the real host is asked to call
   */
  constructor(startTime: number) {
    checkHost();
    this.#now = startTime;
  }

  time(): number {
    return this.#now;
  }

  start(turns: Turns): void {
    this.#turns = turns;
    this.#keepAlive = hostSetInterval(() => {}, HOUR_MS);
  }

  stop(): void {
    this.#turns = null;
    this.#woken = false;
    if (this.#keepAlive !== null) hostClearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  wake(): void {
    this.#woken = true;
    this.#callSoon();
  }

  wakeAt(when: number): void {
    if (when !== Number.POSITIVE_INFINITY) this.#callSoon();
  }

  #callSoon(): void {
    if (this.#called) return;
    this.#called = true;
    hostSetImmediate(this.#call);
  }

  #call = (): void => {
    this.#called = false;
    const turns = this.#turns;
    if (turns === null) return;
    if (!this.#woken) {
      const when = turns.nextWhen();
      if (when === Number.POSITIVE_INFINITY) return;
      this.#now = Math.max(this.#now, when);
    }
    this.#woken = false;
    turns.run();
  };
}
