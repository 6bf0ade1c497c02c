/** Says once that nothing has happened for a while, and again after something has. On the loop's clock. */
import type { TimerHandle } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';

export class IdleTimer {
  readonly #loop: Loop;
  readonly #onIdle: () => void;
  #seconds: number = 0;
  #last: number = 0;
  #timer: TimerHandle | null = null;

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
    if (this.#timer === null) this.#arm();
  }

  #arm(): void {
    this.#timer = this.#loop._scheduler.callAt(this.#last + this.#seconds, this.#due, []);
  }

  #due = (): void => {
    this.#timer = null;
    if (this.#loop.time() < this.#last + this.#seconds) this.#arm();
    else this.#onIdle();
  };
}
