/**
 * The turn driver of one loop on a simulated host: it turns the loop's wake-ups into callbacks of the
 * timeline.
 *
 * As on a real host, a wake-up is only a hint. When it comes, the loop's own queue of deadlines decides.
 */
import { hostNow, hostQueueMicrotask } from '../../base/host.ts';
import type { TurnDriver, Turns } from '../backend.ts';
import type { SimHost } from './host.ts';
import type { TimelineEvent } from './timeline.ts';

export class LoopClock implements TurnDriver {
  /** Seconds. A double can represent nanoseconds for the first three months. */
  readonly clockResolution = 1e-9;
  readonly #host: SimHost;
  readonly #step: () => void;
  /** For choices. */
  readonly #owner: string;
  #turns: Turns | null = null;
  #woken: boolean = false;
  #armed: TimelineEvent | null = null;
  /** The deadline of `#armed`, on the clock of `time()`. */
  #armedFor: number = Number.POSITIVE_INFINITY;

  constructor(host: SimHost) {
    this.#host = host;
    this.#step = host.guarded(this.#run);
    this.#owner = `a loop of ${host.name}`;
  }

  time(): number {
    return this.#host.time();
  }

  realTime(): number {
    return hostNow() / 1000;
  }

  start(turns: Turns): void {
    this.#turns = turns;
    this.#host.loopStarted(this);
  }

  stop(): void {
    this.#turns = null;
    this.#disarm();
    this.#host.loopStopped(this);
  }

  wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    this.#host.timeline.soon(this.#step, this.#owner);
  }

  wakeAt(when: number): void {
    if (when >= this.#armedFor) return;
    this.#disarm();
    this.#armedFor = when;
    this.#armed = this.#host.at(when, this.#due);
  }

  drain(resume: () => void): boolean {
    return this.#host.timeline.drain(resume);
  }

  /** Calls back before the pass in which time may jump. */
  afterHostTimers(callback: () => void): void {
    hostQueueMicrotask(callback);
  }

  close(): void {}

  /** The host's clock has changed, so the deadline is at another time of the world. */
  rearm(): void {
    const when = this.#armedFor;
    if (when === Number.POSITIVE_INFINITY) return;
    this.#disarm();
    this.wakeAt(when);
  }

  #disarm(): void {
    this.#armed?.cancel();
    this.#armed = null;
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  #run = (): void => {
    this.#woken = false;
    this.#turns?.run();
  };

  #due = (): void => {
    this.#armed = null;
    this.#armedFor = Number.POSITIVE_INFINITY;
    const turns = this.#turns;
    if (turns === null) return;
    const when = turns.nextWhen();
    // A cancelled timer may have set this event. A wake-up that is on its way runs the due timers, too.
    if (when <= this.time()) turns.run();
    else if (when !== Number.POSITIVE_INFINITY) this.wakeAt(when);
  };
}
