/**
 * The scheduler: the ready entries, the timers, and the writes that wait for the end of a turn. It has no
 * I/O, no clock and no host, so that a test can drive it with numbers. The turn itself is in pump.ts.
 */
import { DeadlineHeap } from '../base/deadline-heap.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { enterLoop, leaveLoop } from './context.ts';
import type { AnyCallback, Runnable } from './handle.ts';
import { Handle, TimerHandle } from './handle.ts';
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

export class Scheduler {
  readonly ready: RingQueue<Runnable> = new RingQueue();
  readonly timers: DeadlineHeap<TimerHandle> = new DeadlineHeap();
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
  /** Runs an entry in debug mode, and measures its duration. */
  debugRun: ((entry: Runnable) => void) | null = null;

  readonly #loop: Loop;
  readonly #waker: Waker;
  #seq: number = 0;
  #flushables: Flushable[] = [];
  #behindDrain: (() => void)[] = [];
  /** The number of entries of the current turn that have not run. */
  #left: number = 0;

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
    const handle = new TimerHandle(when, this.#seq++, this, callback, args);
    this.timers.push(handle);
    if (!this.awake && this.timers.nextWhen() === when) this.#waker.wakeAt(when);
    return handle;
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

  report(context: ExceptionContext): void {
    this.#loop.callExceptionHandler(context);
  }

  /** Moves due timers behind the entries that are ready, in order of deadline, then of scheduling. */
  beginTurn(now: number): void {
    const { ready, timers } = this;
    for (let timer = timers.popDue(now); timer !== undefined; timer = timers.popDue(now)) {
      timer._waitingIn = null;
      ready.push(timer);
    }
    this.#left = ready.length;
  }

  /** Calls `callback` after all code that the current entry causes has run. */
  behindDrain(callback: () => void): void {
    this.#behindDrain.push(callback);
    if (!this.awake && this.#behindDrain.length === 1) this.#waker.wake();
  }

  /** Runs the next entry of the turn. Returns false if the turn has no more entries. */
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
    this.#flushables = [];
  }
}
