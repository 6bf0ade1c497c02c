/**
 * The scheduler: the entries that are ready, the timers, and the writes that wait for the end of a turn. No
 * I/O, no clock of its own, no host: a test drives it with numbers. pump.ts has the turn itself.
 */
import { DeadlineHeap } from '../base/deadline-heap.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { enterLoop, leaveLoop } from './context.ts';
import type { AnyCallback, Runnable } from './handle.ts';
import { Handle, TimerHandle } from './handle.ts';
import type { ExceptionContext, Loop } from './types.ts';

/** The pump, as the scheduler sees it. */
export interface Waker {
  /** A turn is wanted. */
  wake(): void;
  /** The earliest deadline has become `when`. */
  wakeAt(when: number): void;
}

/** The mark that `stop()` puts into the ready queue. */
const STOP: Runnable = {
  _run(scheduler: Scheduler): void {
    scheduler.stopping = false;
    scheduler.stopped = true;
  },
};

/** Something with writes to send at the end of the turn. */
export interface Flushable {
  /** @internal */
  _flush(): void;
}

export class Scheduler {
  readonly ready: RingQueue<Runnable> = new RingQueue();
  readonly timers: DeadlineHeap<TimerHandle> = new DeadlineHeap();
  /** Set by the mark of `stop()`, cleared by the next run of the loop. */
  stopped: boolean = false;
  /**
   * The mark is in the ready queue: a second `stop()` before it takes effect must not end the next run as
   * well.
   */
  stopping: boolean = false;
  /** The pump runs turns, and looks by itself for what is wanted next: nothing need wake it. */
  awake: boolean = false;
  /** Told of each entry before it runs: trace of the simulator. */
  observer: ((entry: Runnable) => void) | null = null;
  /** Runs an entry in debug mode, with a watch on its duration. */
  debugRun: ((entry: Runnable) => void) | null = null;

  readonly #loop: Loop;
  readonly #waker: Waker;
  #seq: number = 0;
  #flushables: Flushable[] = [];
  #behindDrain: (() => void)[] = [];
  /** Entries of the turn under way that have not run. */
  #left: number = 0;

  constructor(loop: Loop, waker: Waker) {
    this.#loop = loop;
    this.#waker = waker;
  }

  /** Whether a turn has anything to do, timers aside. */
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
    const handle = new TimerHandle(when, this.#seq++, this, callback, args);
    this.timers.push(handle);
    if (!this.awake && this.timers.nextWhen() === when) this.#waker.wakeAt(when);
    return handle;
  }

  /** Every entry before the mark still runs; those behind it wait until the loop is run again. */
  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    this.push(STOP);
  }

  /** `flushable._flush()` at the end of this turn, or of the next one where none is under way. */
  flushAtTurnEnd(flushable: Flushable): void {
    this.#flushables.push(flushable);
    if (!this.awake && this.#flushables.length === 1) this.#waker.wake();
  }

  report(context: ExceptionContext): void {
    this.#loop.callExceptionHandler(context);
  }

  /** Timers that are due move behind the entries that are ready, in order of deadline, then of scheduling. */
  beginTurn(now: number): void {
    const { ready, timers } = this;
    for (let timer = timers.popDue(now); timer !== undefined; timer = timers.popDue(now)) {
      timer._waitingIn = null;
      ready.push(timer);
    }
    this.#left = ready.length;
  }

  /** Calls `callback` behind all that the entry under way brings about. */
  behindDrain(callback: () => void): void {
    this.#behindDrain.push(callback);
    if (!this.awake && this.#behindDrain.length === 1) this.#waker.wake();
  }

  /** Runs the next entry of the turn. False: the turn has no more. */
  runNext(): boolean {
    if (this.#behindDrain.length > 0) this.#callBehindDrain();
    if (this.#left === 0) return false;
    this.#left--;
    const entry = this.ready.shift() as Runnable;
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
    if (this.stopped) this.#left = 0;
    return true;
  }

  /** The turn is over: writes leave. One that fails is reported, and the others leave. */
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
    this.#flushables = [];
  }
}
