/**
 * The scheduler: the ready entries, the timers, and the writes that wait for the end of a turn. It has no
 * I/O, no clock and no host, so that a test can drive it with numbers. The turn itself is in pump.ts.
 */
import { DeadlineQueue } from '../base/deadline-queue.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { publishTurns } from './channels.ts';
import { enterLoop, leaveLoop } from './context.ts';
import { ExpiredLimits } from './expired-limits.ts';
import type { AnyCallback, Runnable } from './handle.ts';
import { Handle, TimerHandle } from './handle.ts';
import { Histogram } from './histogram.ts';
import { LoopMeter } from './meter.ts';
import type { Recorder } from './recorder.ts';
import type { ExceptionContext, Loop } from './types.ts';

/** The pump, as the scheduler sees it. */
export interface Waker {
  /** Requests a turn. */
  wake(): void;
  /** Reports that the earliest deadline has become `when`. */
  wakeAt(when: number): void;
}

/** The mark that `stop()` puts into the ready queue. */
const STOP: Runnable = {
  _run(scheduler: Scheduler): void {
    scheduler.stopping = false;
    scheduler.stopped = true;
  },
};

/** An object whose writes are sent at the end of the turn. */
export interface Flushable {
  /** @internal */
  _flush(): void;
}

/** Further timers with one deadline come nearer with each timer that runs. */
const MOST_TIMERS = 8;

/** Chooses the order where nothing promises one. A simulation that searches schedules has it. */
export interface EntryChooser {
  /** Changes the order of the entries of a turn. null: first in, first out. */
  readonly arrangeTurn: ((entries: Runnable[]) => void) | null;
  /** Returns the index of the timer that runs first, among timers with the same deadline. */
  chooseTimer(timers: readonly TimerHandle[]): number;
}

export class Scheduler {
  readonly ready: RingQueue<Runnable> = new RingQueue();
  readonly timers: DeadlineQueue<TimerHandle> = new DeadlineQueue();
  /** Set by the mark of `stop()`, cleared by the next run of the loop. */
  stopped: boolean = false;
  /**
   * The mark is in the ready queue. A second `stop()` before the mark takes effect must not end the next run,
   * too.
   */
  stopping: boolean = false;
  /** The pump is running turns and checks by itself what is wanted next, so no wake-up is necessary. */
  awake: boolean = false;
  /** Called with each entry before it runs, for the simulator's trace. */
  observer: ((entry: Runnable) => void) | null = null;
  chooser: EntryChooser | null = null;
  /** Runs an entry in debug mode, and measures its duration. */
  debugRun: ((entry: Runnable) => void) | null = null;

  readonly meter: LoopMeter = new LoopMeter();
  /** Takes the events of the loop; null: the loop is not recorded. */
  recorder: Recorder | null = null;
  /** The number of the loop, for the recorder. */
  number: number = 0;
  /** How late the timers of the loop ran, in seconds. */
  readonly lateness: Histogram = new Histogram(1e-7);
  readonly expiredLimits: ExpiredLimits = new ExpiredLimits();
  /** The number of entries that have run, modulo 2^32. */
  entries: number = 0;
  /**
   * The last entry that ran, or the scope of the code that it has resumed. Null between calls of the host.
   */
  lastRun: object | null = null;
  /** The most entries that were ready at the beginning of a turn, since the pump has taken the number. */
  readyMost: number = 0;
  /** The number of turns that have begun. */
  turns: number = 0;
  /** The time at which the current turn began, or the last one. */
  turnTime: number = 0;

  readonly #loop: Loop;
  readonly #waker: Waker;
  #seq: number = 0;
  #flushables: Flushable[] = [];
  #behindDrain: (() => void)[] = [];
  /** The number of entries of the current turn that are in the ready queue. */
  #left: number = 0;
  /** The turn also runs the timers that are due at this time. Null outside of a turn. */
  #dueUntil: number | null = null;
  /** Timers that the turn has scheduled and that are due already. They wait for the next turn. */
  #late: TimerHandle[] = [];

  constructor(loop: Loop, waker: Waker) {
    this.#loop = loop;
    this.#waker = waker;
  }

  /** True if a turn has anything to do, apart from timers. */
  get wanted(): boolean {
    return this.ready.length > 0 || this.#flushables.length > 0 || this.#behindDrain.length > 0;
  }

  /** Appends to the ready queue. */
  push(entry: Runnable): void {
    this.ready.push(entry);
    if (!this.awake && this.ready.length === 1) this.#waker.wake();
  }

  callSoon(callback: AnyCallback, args: unknown[]): Handle {
    const handle = new Handle(callback, args);
    this.push(handle);
    return handle;
  }

  callAt(when: number, callback: AnyCallback, args: unknown[]): TimerHandle {
    const handle = new TimerHandle(when, this.#seq++, callback, args);
    if (this.#dueUntil !== null && when <= this.#dueUntil) this.#late.push(handle);
    else this.#await(handle);
    if (!this.awake && this.timers.nextWhen() === when) this.#waker.wakeAt(when);
    return handle;
  }

  #await(timer: TimerHandle): void {
    timer._waitingIn = this;
    this.timers.push(timer);
  }

  /**
   * Stops the run: every entry before the mark still runs, and entries behind it wait until the loop runs
   * again.
   */
  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    this.push(STOP);
  }

  /** Calls `flushable._flush()` at the end of this turn, or of the next turn if none is running. */
  flushAtTurnEnd(flushable: Flushable): void {
    this.#flushables.push(flushable);
    if (!this.awake && this.#flushables.length === 1) this.#waker.wake();
  }

  /** Returns the time of the loop. */
  time(): number {
    return this.#loop._backend.time();
  }

  /** Returns the time of the loop. During turns it is the time at which the turn began, and costs nothing. */
  cheapTime(): number {
    return this.awake ? this.turnTime : this.time();
  }

  /** Tells the subscribers of `gyre:turn` that turns have ended. */
  publishTurns(turns: number, entries: number, seconds: number): void {
    publishTurns(this.#loop, turns, entries, seconds);
  }

  report(context: ExceptionContext): void {
    this.#loop.callExceptionHandler(context);
  }

  /** Begins a turn: the entries that are ready, and behind them the timers that are due at `now`. */
  beginTurn(now: number): void {
    this.turns++;
    this.turnTime = now;
    this.#dueUntil = now;
    if (this.stopping) this.#moveDueTimers();
    else if (this.chooser !== null) this.#arrangeTurn(this.chooser);
    this.#left = this.ready.length;
    if (this.#left > this.readyMost) this.readyMost = this.#left;
  }

  #arrangeTurn({ arrangeTurn }: EntryChooser): void {
    if (arrangeTurn === null || this.ready.length < 2) return;
    const entries = [...this.ready];
    arrangeTurn(entries);
    this.ready.clear();
    for (const entry of entries) this.ready.push(entry);
  }

  /** Those behind the mark of `stop()` stay in the ready queue, before the entries that the turn adds. */
  #moveDueTimers(): void {
    for (let timer = this.#takeDue(); timer !== undefined; timer = this.#takeDue()) this.ready.push(timer);
  }

  /**
   * Takes the next timer of the turn, in order of deadline, then of scheduling. It is taken right before it
   * runs, because thousands of timers would leave the processor's cache again on their way through a queue.
   */
  #takeDue(): TimerHandle | undefined {
    if (this.#dueUntil === null) return undefined;
    const first = this.timers.popDue(this.#dueUntil);
    if (first === undefined) return undefined;
    const timer = this.chooser === null ? first : this.#choose(first, this.chooser);
    timer._waitingIn = null;
    const late = this.#dueUntil - timer._when;
    this.lateness.add(late);
    if (this.recorder !== null) this.recorder.late(late);
    return timer;
  }

  /** Returns the chosen one of the timers with the deadline of `first`, and puts the others back. */
  #choose(first: TimerHandle, chooser: EntryChooser): TimerHandle {
    const timers = [first];
    while (timers.length < MOST_TIMERS && this.timers.nextWhen() === first._when)
      timers.push(this.timers.popDue(first._when) as TimerHandle);
    const chosen = timers.length === 1 ? first : (timers[chooser.chooseTimer(timers)] as TimerHandle);
    for (const timer of timers) if (timer !== chosen) this.timers.push(timer);
    return chosen;
  }

  #endTurn(): void {
    this.#left = 0;
    this.#dueUntil = null;
    if (this.#late.length === 0) return;
    for (const timer of this.#late) if (!timer.cancelled()) this.#await(timer);
    this.#late = [];
  }

  /** Calls `callback` after all code that the current entry causes has run. */
  behindDrain(callback: () => void): void {
    this.#behindDrain.push(callback);
    if (!this.awake && this.#behindDrain.length === 1) this.#waker.wake();
  }

  /** Runs the next entry of the turn. Returns false if the turn has no more entries. */
  runNext(): boolean {
    if (this.#behindDrain.length > 0) this.#callBehindDrain();
    const entry = this.#nextEntry();
    if (entry === undefined) {
      this.#endTurn();
      return false;
    }
    this.entries = (this.entries + 1) | 0;
    this.lastRun = entry;
    if (this.observer !== null) this.observer(entry);
    enterLoop(this.#loop);
    try {
      if (this.debugRun !== null) this.debugRun(entry);
      else entry._run(this);
    } catch (exception) {
      this.report({ message: 'exception in an entry of the ready queue', exception });
    } finally {
      leaveLoop();
    }
    if (this.stopped) this.#endTurn();
    return true;
  }

  #nextEntry(): Runnable | undefined {
    if (this.#left === 0) return this.#takeDue();
    this.#left--;
    return this.ready.shift();
  }

  /**
   * Sends the writes at the end of a turn. If one fails, the failure is reported, and the others are sent.
   */
  flush(): void {
    if (this.#flushables.length === 0) return;
    const flushables = this.#flushables;
    this.#flushables = [];
    for (const flushable of flushables) {
      try {
        flushable._flush();
      } catch (exception) {
        this.report({
          message: 'exception while the writes of a turn were sent',
          exception,
          transport: flushable,
        });
      }
    }
  }

  #callBehindDrain(): void {
    const callbacks = this.#behindDrain;
    this.#behindDrain = [];
    for (const callback of callbacks) callback();
  }

  clear(): void {
    for (const entry of this.ready) entry._abandonWaiter?.();
    this.ready.clear();
    this.stopping = false;
    for (const timer of this.timers) timer._waitingIn = null;
    this.timers.clear();
    this.#late = [];
    this.#flushables = [];
  }
}
