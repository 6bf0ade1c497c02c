/**
 * The turn driver on Node's own loop: time and wake-ups.
 *
 * Node's timers use a clock of whole milliseconds, fire up to 0.94 ms early, and overflow at 2^31 ms. One
 * iteration of libuv's loop costs 1 µs, most of it for the poll.
 *
 * So a host timer is only a hint: when it fires, the nanosecond clock decides. A timer that fired early is
 * armed again. If less than half a millisecond is missing, this file spins through the check phase instead.
 *
 * The ready queue and the queue of deadlines belong to the loop. This file stores only the wake-ups that it
 * has requested from the host.
 */

import { drain } from '../../base/drain.ts';
import {
  checkHost,
  hostClearInterval,
  hostClearTimeout,
  hostNow,
  hostSetImmediate,
  hostSetInterval,
  hostSetTimeout,
} from '../../base/host.ts';
import type { TurnDriver, Turns } from '../backend.ts';

/**
 * Milliseconds. The last part of a deadline is spent in the check phase, because a host timer would be late
 * by as much.
 */
const SPIN_BELOW_MS = 0.5;
/** Milliseconds. A longer host timer would overflow. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class HostClock implements TurnDriver {
  readonly clockResolution = 1e-9;
  /** Makes the host call back soon, but not from within this call. */
  readonly #soon: (callback: () => void) => void;
  #turns: Turns | null = null;
  #keepAlive: NodeJS.Timeout | null = null;
  /** The host will call, so `wake()` need not ask again. */
  #called: boolean = false;
  #timer: NodeJS.Timeout | null = null;
  /** The deadline of the armed host timer; Infinity if there is none. */
  #armed: number = Number.POSITIVE_INFINITY;
  #spinning: boolean = false;

  /** @throws LoopError `ERR_UNSUPPORTED` with fake timers */
  constructor(soon: (callback: () => void) => void = hostSetImmediate) {
    checkHost();
    this.#soon = soon;
  }

  time(): number {
    return hostNow() / 1000;
  }

  realTime(): number {
    return this.time();
  }

  start(turns: Turns): void {
    this.#turns = turns;
    this.#keepAlive = hostSetInterval(() => {}, LONGEST_TIMER_MS);
  }

  stop(): void {
    this.#turns = null;
    this.#disarm();
    if (this.#keepAlive !== null) hostClearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  wake(): void {
    if (this.#called) return;
    this.#called = true;
    this.#soon(this.#call);
  }

  wakeAt(when: number): void {
    // Keep an earlier host timer: one needless wake-up costs less than arming a timer for each change.
    if (when < this.#armed) this.#arm(when);
  }

  drain(resume: () => void): boolean {
    return drain(resume);
  }

  /** Between two check phases, the host runs its due timers, with a clock that it has just read. */
  afterHostTimers(callback: () => void): void {
    hostSetImmediate(() => hostSetImmediate(callback));
  }

  close(): void {}

  #call = (): void => {
    this.#called = false;
    this.#turns?.run();
  };

  #arm(when: number): void {
    this.#disarm();
    this.#armed = when;
    const ms = (when - this.time()) * 1000;
    if (ms >= SPIN_BELOW_MS) {
      this.#timer = hostSetTimeout(this.#onHostTimer, Math.min(Math.round(ms), LONGEST_TIMER_MS));
    } else if (!this.#spinning) {
      this.#spinning = true;
      hostSetImmediate(this.#onSpin);
    }
  }

  #disarm(): void {
    if (this.#timer !== null) hostClearTimeout(this.#timer);
    this.#timer = null;
    this.#armed = Number.POSITIVE_INFINITY;
  }

  #onHostTimer = (): void => {
    this.#timer = null;
    this.#dueOrArm();
  };

  /** Called once per check phase, so I/O continues while the last half millisecond passes. */
  #onSpin = (): void => {
    this.#spinning = false;
    if (this.#timer === null) this.#dueOrArm();
  };

  #dueOrArm(): void {
    const turns = this.#turns;
    if (turns === null) return;
    this.#armed = Number.POSITIVE_INFINITY;
    const when = turns.nextWhen();
    if (when <= this.time()) turns.run();
    else if (when !== Number.POSITIVE_INFINITY) this.#arm(when);
  }
}
