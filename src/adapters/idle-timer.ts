/**
 * Calls back once when nothing has happened for a while, by the loop's clock, and again after the next
 * activity.
 *
 * A client often sets a timer of the host before that of its socket, with the same length. It expects its own
 * timer to fire first, as with Node's sockets. A turn of the loop may come before the host looks at its
 * timers. So a due idle timer first lets the host run its timers.
 */
import type { TimerHandle } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';

export class IdleTimer {
  readonly #loop: Loop;
  readonly #onIdle: () => void;
  #seconds: number = 0;
  #last: number = 0;
  #timer: TimerHandle | null = null;
  /** The timer was due, and the host runs its own timers first. */
  #yielding: boolean = false;

  constructor(loop: Loop, onIdle: () => void) {
    this.#loop = loop;
    this.#onIdle = onIdle;
  }

  /** @param seconds 0 switches the timer off */
  set(seconds: number): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#seconds = seconds;
    this.touch();
  }

  /** Records activity. This is cheap: the timer reads the time of the last activity when it is due. */
  touch(): void {
    if (this.#seconds === 0) return;
    this.#last = this.#loop.time();
    if (this.#timer === null && !this.#yielding) this.#arm(this.#due);
  }

  #arm(callback: () => void): void {
    this.#timer = this.#loop._scheduler.callAt(this.#last + this.#seconds, callback, []);
  }

  #isEarly(): boolean {
    return this.#loop.time() < this.#last + this.#seconds;
  }

  #due = (): void => {
    this.#timer = null;
    if (this.#isEarly()) {
      this.#arm(this.#due);
      return;
    }
    this.#yielding = true;
    this.#loop._backend.afterHostTimers(this.#afterHostTimers);
  };

  /** The host calls this, so the loop may be closed. */
  #afterHostTimers = (): void => {
    this.#yielding = false;
    if (this.#seconds > 0) this.#arm(this.#isEarly() ? this.#due : this.#fire);
  };

  #fire = (): void => {
    this.#timer = null;
    if (this.#isEarly()) this.#arm(this.#due);
    else this.#onIdle();
  };
}
