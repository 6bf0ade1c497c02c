/**
 * The virtual clock: time stands still while anything is ready, and jumps to the next deadline when nothing is.
 *
 * Between two turns the host's microtasks and ticks run dry (one pass through its check phase), so what a
 * turn resumed has scheduled all it will before time may move. Nothing here depends on how fast the machine is.
 */
const HOUR_MS = 3_600_000;

export class VirtualClock {
  /** Seconds. Doubles tell nanoseconds apart for the first three months. */
  readonly resolution = 1e-9;
  #now: number;
  #onTurn: (() => boolean) | null = null;
  #onTurnEnd: () => void = () => {};
  #turnOpen: boolean = false;
  #keepAlive: NodeJS.Timeout | null = null;
  #deadline: number = Number.POSITIVE_INFINITY;
  #wanted: boolean = false;
  #scheduled: boolean = false;

  constructor(startTime: number) {
    this.#now = startTime;
  }

  time(): number {
    return this.#now;
  }

  start(onTurn: () => boolean, onTurnEnd: () => void): void {
    this.#onTurn = onTurn;
    this.#onTurnEnd = onTurnEnd;
    this.#turnOpen = false;
    this.#keepAlive = setInterval(() => {}, HOUR_MS);
  }

  stop(): void {
    this.#onTurn = null;
    this.#wanted = false;
    this.#deadline = Number.POSITIVE_INFINITY;
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  wake(): void {
    this.#wanted = true;
    this.#schedule();
  }

  wakeAt(when: number): void {
    this.#deadline = when;
    if (when !== Number.POSITIVE_INFINITY) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#pass);
  }

  #pass = (): void => {
    this.#scheduled = false;
    if (this.#onTurn === null) return;
    if (this.#turnOpen) {
      this.#turnOpen = false;
      this.#onTurnEnd();
    }
    if (!this.#wanted) {
      if (this.#deadline === Number.POSITIVE_INFINITY) return;
      this.#now = Math.max(this.#now, this.#deadline);
      this.#deadline = Number.POSITIVE_INFINITY;
    }
    this.#wanted = false;
    this.#turnOpen = true;
    this.#onTurn();
    this.#schedule();
  };
}
