/**
 * Says once that nothing has happened for a while, and again after something has. On the loop's clock.
 *
 * A client often has a timer of the host's own beside that of its socket, set before it and with the same
 * length: it expects its own to come first, as with a socket of Node's. A turn of the loop may come before
 * the host looks at its timers, so the host is let go first.
 */
import type { TimerHandle } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';

export class IdleTimer {
  readonly #loop: Loop;
  readonly #onIdle: () => void;
  #seconds: number = 0;
  #last: number = 0;
  #timer: TimerHandle | null = null;
  /** It was due, and the host's timers come first. */
  #yielding: boolean = false;

  constructor(loop: Loop, onIdle: () => void) {
    this.#loop = loop;
    this.#onIdle = onIdle;
  }

  /** @param seconds 0: never */
  set(seconds: number): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#seconds = seconds;
    this.touch();
  }

  /** Something happened. Only a note: the timer is looked at when it is due. */
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

  /** Here the host calls, so the loop may be closed. */
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
