/**
 * Time and turns on Node's own loop.
 *
 * Facts. Node's timers work on a clock of whole milliseconds and fire up to 0.94 ms early; they overflow at 2^31 ms. A round
 * through libuv costs 1 µs, most of it the poll. In one callback of the host, ticks run before microtasks; but a tick that is
 * asked for from a microtask runs after all of them.
 *
 * What this means. (1) A host timer is only a hint: the pump looks at the nanosecond clock, and a wake-up that comes early is
 * armed again, by spinning through the check phase where less than half a millisecond is missing. (2) Between two turns
 * the microtasks must be done, but libuv need not be asked each time: up to TURNS_A_ROUND turns run in one round, each in
 * a tick behind the microtasks of the one before. Then I/O has its chance.
 */

/** How the host is asked to call. */
export interface Callbacks {
  /** Soon, from the host and not from within this call. */
  soon(callback: () => void): void;
  /** Once the microtasks and ticks of what runs now are done. */
  afterMicrotasks(callback: () => void): void;
}

const resolved: Promise<void> = Promise.resolve();

export const NODE_CALLBACKS: Callbacks = {
  soon: setImmediate,
  afterMicrotasks: (callback) => {
    void resolved.then(() => process.nextTick(callback));
  },
};

/** Turns before I/O is polled again. Half the gain is there at 4, nearly all at 16; 16 short turns take some 20 µs. */
const TURNS_A_ROUND = 16;
/** Milliseconds. Below this a timer's rest is spent in the check phase, because a host timer would be late by as much. */
const SPIN_BELOW_MS = 0.5;
/** Milliseconds. A longer host timer would overflow. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class HostClock {
  readonly resolution = 1e-9;
  readonly #callbacks: Callbacks;
  #onTurn: (() => boolean) | null = null;
  #onTurnEnd: () => void = () => {};
  #keepAlive: NodeJS.Timeout | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** What the host timer was set for; Infinity when there is none. */
  #armed: number = Number.POSITIVE_INFINITY;
  /** What was asked for last. */
  #deadline: number = Number.POSITIVE_INFINITY;
  #spinning: boolean = false;
  /** An immediate, or the end of the round under way, will look whether a turn is wanted. */
  #scheduled: boolean = false;
  #wanted: boolean = false;
  #turnsLeft: number = 0;

  constructor(callbacks: Callbacks = NODE_CALLBACKS) {
    this.#callbacks = callbacks;
  }

  time(): number {
    return performance.now() / 1000;
  }

  start(onTurn: () => boolean, onTurnEnd: () => void): void {
    this.#onTurn = onTurn;
    this.#onTurnEnd = onTurnEnd;
    this.#keepAlive = setInterval(() => {}, LONGEST_TIMER_MS);
  }

  stop(): void {
    this.#onTurn = null;
    this.#wanted = false;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#disarm();
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  wake(): void {
    this.#wanted = true;
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#callbacks.soon(this.#round);
    }
  }

  wakeAt(when: number): void {
    this.#deadline = when;
    // An earlier host timer stays: waking once in vain costs less than arming anew for each change.
    if (when < this.#armed) this.#arm();
  }

  #round = (): void => {
    this.#turnsLeft = TURNS_A_ROUND;
    this.#turn();
  };

  #turn = (): void => {
    let ran = false;
    if (this.#wanted && this.#onTurn !== null) {
      this.#wanted = false;
      this.#turnsLeft--;
      ran = this.#onTurn();
    }
    if (ran) this.#callbacks.afterMicrotasks(this.#turnDone);
    else this.#turnDone();
  };

  #turnDone = (): void => {
    if (this.#onTurn !== null) this.#onTurnEnd();
    if (!this.#wanted) this.#scheduled = false;
    else if (this.#turnsLeft > 0) this.#turn();
    else setImmediate(this.#round);
  };

  #arm(): void {
    this.#disarm();
    const deadline = this.#deadline;
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.#armed = deadline;
    const ms = (deadline - this.time()) * 1000;
    if (ms >= SPIN_BELOW_MS) {
      this.#timer = setTimeout(this.#onHostTimer, Math.min(Math.round(ms), LONGEST_TIMER_MS));
    } else if (!this.#spinning) {
      this.#spinning = true;
      setImmediate(this.#onSpin);
    }
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
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
    if (this.time() >= this.#deadline) this.#due();
    else this.#arm();
  }

  #due(): void {
    this.#armed = Number.POSITIVE_INFINITY;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#wanted = true;
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#round();
    }
  }
}
