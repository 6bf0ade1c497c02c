/**
 * The virtual clock. Time stands still while anything is ready, and then jumps to the next deadline.
 *
 * Each turn drains the code that it resumes, so when a loop rests, it has scheduled everything. Before a jump
 * the host gets the thread once, for a pass through its check phase. So signals, and real work that a task
 * awaits, are handled before time moves. Nothing here depends on the speed of the machine.
 */

import { checkHost, hostClearInterval, hostSetImmediate, hostSetInterval } from '../../base/host.ts';
import type { Turns } from '../backend.ts';

const HOUR_MS = 3_600_000;

export class VirtualClock {
  /** Seconds. A double can represent nanoseconds for the first three months. */
  readonly resolution = 1e-9;
  #now: number;
  #turns: Turns | null = null;
  #keepAlive: NodeJS.Timeout | null = null;
  /** `run()` is wanted at the current time. */
  #woken: boolean = false;
  /** The host will call, so another request is not necessary. */
  #called: boolean = false;

  /**
   * @throws LoopError `ERR_UNSUPPORTED` with fake timers, because the clock needs the real host between two
   *   times
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
