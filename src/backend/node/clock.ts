/**
 * Time and wake-ups on Node's own loop.
 *
 * Facts. Node's timers work on a clock of whole milliseconds and fire up to 0.94 ms early; they overflow at
 * 2^31 ms. A round through libuv costs 1 µs, most of it the poll.
 *
 * So a host timer is only a hint: it looks at the nanosecond clock when it fires, and one that is early is
 * armed again, by spinning through the check phase where less than half a millisecond is missing.
 *
 * The ready queue and the heap of deadlines belong to the loop. This file keeps what it has asked the host
 * for, and no more.
 */

import {
  checkHost,
  hostClearInterval,
  hostClearTimeout,
  hostNow,
  hostSetImmediate,
  hostSetInterval,
  hostSetTimeout,
} from '../../base/host.ts';
import type { Turns } from '../backend.ts';

/**
 * Milliseconds. Below this a timer's rest is spent in the check phase, because a host timer would be late by
 * as much.
 */
const SPIN_BELOW_MS = 0.5;
/** Milliseconds. A longer host timer would overflow. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class HostClock {
  readonly resolution = 1e-9;
  /** Has the host call soon, from itself and not from within this call. */
  readonly #soon: (callback: () => void) => void;
  #turns: Turns | null = null;
  #keepAlive: NodeJS.Timeout | null = null;
  /** The host will call: `wake()` need not ask again. */
  #called: boolean = false;
  #timer: NodeJS.Timeout | null = null;
  /** The deadline that the host timer was set for; Infinity when there is none. */
  #armed: number = Number.POSITIVE_INFINITY;
  #spinning: boolean = false;

  /** @throws LoopError `ERR_UNSUPPORTED` over fake timers */
  constructor(soon: (callback: () => void) => void = hostSetImmediate) {
    checkHost();
    this.#soon = soon;
  }

  time(): number {
    return hostNow() / 1000;
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
    // An earlier host timer stays: waking once in vain costs less than arming anew for each change.
    if (when < this.#armed) this.#arm(when);
  }

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

  /** Once through the check phase: I/O goes on while the last half millisecond passes. */
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
