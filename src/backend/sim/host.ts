/**
 * A simulated machine: its name and addresses, its clock, and the parts of its kernel.
 *
 * All that happens on a host goes through it, so that a host can be paused (its programs do nothing, its
 * kernel goes on) and can crash (all that was on its way is dropped).
 */
import type { LoopClock } from './loop-clock.ts';
import type { Random } from './random.ts';
import type { Timeline, TimelineEvent } from './timeline.ts';

export type HostState = 'up' | 'paused' | 'down';

/** A part of the kernel that has a state. */
export interface KernelPart {
  /** The power is gone: drops the whole state at once, and sends nothing. */
  crash(): void;
}

export class SimHost {
  readonly name: string;
  /** Canonical literals, without the loopback addresses that each host has. */
  readonly addresses: readonly string[];
  readonly timeline: Timeline;
  readonly random: Random;
  /** Seconds since 1970 at time 0 of the world, by the right clock. */
  epoch: number = 0;
  /** Seconds by which the wall clock of this host is wrong, beside its drift. */
  wallOffset: number = 0;
  /** A program is ending. The kernel closes its sockets by FIN then, where a transport would abort. */
  programEnds: boolean = false;
  /** For choices: the I/O events of its programs. */
  readonly ioOwner: string;
  readonly #timerOwner: string;
  readonly #kernelOwner: string;
  readonly #parts: KernelPart[] = [];
  #state: HostState = 'up';
  /** Increases with each crash, so that callbacks of an earlier life are dropped. */
  #life: number = 0;
  /** Callbacks that came while the host was paused. */
  #waiting: (() => void)[] = [];
  readonly #loops: Set<LoopClock> = new Set();
  /** Local time = #base + (world time - #since) * #rate. */
  #base: number = 0;
  #since: number = 0;
  #rate: number = 1;

  constructor(name: string, addresses: readonly string[], timeline: Timeline, random: Random) {
    this.name = name;
    this.addresses = addresses;
    this.timeline = timeline;
    this.random = random;
    this.ioOwner = `I/O of ${name}`;
    this.#timerOwner = `a timer of ${name}`;
    this.#kernelOwner = `the kernel of ${name}`;
  }

  get state(): HostState {
    return this.#state;
  }

  // --- time ---

  /** Returns the monotonic time of this host, in seconds. */
  time(): number {
    const now = this.timeline.time();
    // Without a drift, deadlines must be exact.
    if (this.#rate === 1 && this.#base === this.#since) return now;
    return this.#base + (now - this.#since) * this.#rate;
  }

  /** Returns the seconds since 1970 on the wall clock of this host. */
  wallTime(): number {
    return this.epoch + this.wallOffset + this.time();
  }

  /** @param rate seconds that the clock of this host moves in a second of the world; more than 0 */
  setRate(rate: number): void {
    const local = this.time();
    this.#since = this.timeline.time();
    this.#base = local;
    this.#rate = rate;
    for (const loop of this.#loops) loop.rearm();
  }

  #worldTime(local: number): number {
    if (this.#rate === 1 && this.#base === this.#since) return local;
    return this.#since + (local - this.#base) / this.#rate;
  }

  // --- programs ---

  /** Calls code of a program at this moment. */
  soon(callback: () => void): void {
    this.timeline.soon(this.guarded(callback));
  }

  /**
   * Calls code of a program at `when`, on the clock of {@link time}.
   *
   * @param owner for choices
   */
  at(when: number, callback: () => void, owner: string = this.#timerOwner): TimelineEvent {
    return this.timeline.at(this.#worldTime(when), this.guarded(callback), true, owner);
  }

  /**
   * Returns a callback for the timeline that calls code of a program: not while the host is paused, and never
   * after a crash. A handle makes one for all its calls.
   */
  guarded(callback: () => void): () => void {
    const life = this.#life;
    const run = (): void => {
      if (this.#life !== life) return;
      if (this.#state === 'paused') this.#waiting.push(run);
      else callback();
    };
    return run;
  }

  loopStarted(loop: LoopClock): void {
    this.#loops.add(loop);
    this.timeline.enter();
  }

  loopStopped(loop: LoopClock): void {
    if (this.#loops.delete(loop)) this.timeline.leave();
  }

  // --- the kernel ---

  /** Adds a part of the kernel, which forgets its state in a crash. */
  addPart(part: KernelPart): void {
    this.#parts.push(part);
  }

  /** Calls code of the kernel after `seconds` of the world. A pause does not delay it. */
  kernelAfter(seconds: number, callback: () => void): TimelineEvent {
    const life = this.#life;
    const run = (): void => {
      if (this.#life === life) callback();
    };
    return this.timeline.at(this.timeline.time() + seconds, run, false, this.#kernelOwner);
  }

  // --- faults ---

  /** Stops all programs of this host. Its kernel still answers the network. */
  pause(): void {
    if (this.#state === 'up') this.#state = 'paused';
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'up';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.timeline.soon(callback);
  }

  /**
   * Drops all that the host does and has. Nothing of it runs again.
   *
   * @param endPrograms called when nothing can be sent any more
   */
  crash(endPrograms: () => void = () => {}): void {
    this.#state = 'down';
    this.#life++;
    this.#waiting = [];
    for (const loop of this.#loops) this.loopStopped(loop);
    endPrograms();
    for (const part of this.#parts) part.crash();
  }

  /** Starts the host again, without programs. */
  boot(): void {
    if (this.#state === 'down') this.#state = 'up';
  }
}
