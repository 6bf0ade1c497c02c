/** The timers of a TCP connection. Each is a time, and one event of the timeline serves all. */
import type { Timeline, TimelineEvent } from '../timeline.ts';

export const NEVER: number = Number.POSITIVE_INFINITY;

export class TcpTimers {
  /** Something in flight is sent again, or the peer's window is probed. */
  resendAt: number = NEVER;
  /** An acknowledgement is sent. */
  ackAt: number = NEVER;
  /** The peer is asked whether it still lives. */
  aliveAt: number = NEVER;
  /** The connection is forgotten. */
  overAt: number = NEVER;
  readonly #timeline: Timeline;
  readonly #onDue: () => void;
  #armed: TimelineEvent | null = null;
  #armedFor: number = NEVER;

  /** @param onDue called at each of the times, or earlier: a time that has moved meanwhile costs nothing */
  constructor(timeline: Timeline, onDue: () => void) {
    this.#timeline = timeline;
    this.#onDue = onDue;
  }

  get now(): number {
    return this.#timeline.time();
  }

  /** Call it after a time was set to an earlier one. */
  arm(): void {
    const at = Math.min(this.resendAt, this.ackAt, this.aliveAt, this.overAt);
    if (at >= this.#armedFor || at === NEVER) return;
    this.#armed?.cancel();
    this.#armedFor = at;
    this.#armed = this.#timeline.at(at, this.#due);
  }

  /** Forgets all times. */
  stop(): void {
    this.resendAt = NEVER;
    this.ackAt = NEVER;
    this.aliveAt = NEVER;
    this.overAt = NEVER;
    this.#armed?.cancel();
    this.#armed = null;
    this.#armedFor = NEVER;
  }

  #due = (): void => {
    this.#armed = null;
    this.#armedFor = NEVER;
    this.#onDue();
    this.arm();
  };
}
