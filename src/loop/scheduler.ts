/**
 * The scheduler: what is ready, what is due when, and one turn. No I/O, no clock of its own, no host: a test drives it
 * with numbers.
 *
 * One turn:
 * 1. Timers that are due now move behind what is ready, in order of deadline, then of scheduling.
 * 2. What is ready now runs, in order. What these callbacks schedule waits for the next turn.
 * 3. At the mark of `stop()` the turn ends; the rest stays where it is.
 * 4. The host drains its microtasks: code that was resumed runs. See pump.ts.
 * 5. `endTurn()`: what was written during all this leaves, one system call for each transport.
 */
import { DeadlineHeap } from '../base/deadline-heap.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { runInLoop } from './context.ts';
import type { AnyCallback, Runnable } from './handle.ts';
import { Handle, TimerHandle } from './handle.ts';
import type { ExceptionContext, Loop } from './types.ts';

/** Who is told that there is something to do: the pump. */
export interface Waker {
  /** The ready queue was empty and is not any more. */
  wake(): void;
  /** A timer is now the earliest. */
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
  /** Set by the mark of `stop()`, cleared by whoever runs the loop again. */
  stopped: boolean = false;
  /** The mark is in the ready queue: a second `stop()` before it takes effect must not end the next run as well. */
  stopping: boolean = false;
  /** Told of each entry before it runs: trace of the simulator. */
  observer: ((entry: Runnable) => void) | null = null;
  /** Runs an entry in debug mode, with a watch on its duration. */
  debugRun: ((entry: Runnable) => void) | null = null;

  readonly #loop: Loop;
  readonly #waker: Waker;
  #seq: number = 0;
  /** While true the waker need not be told of new entries: it knows, or a turn is under way. */
  #awake: boolean = false;
  #nextWhen: number = Number.POSITIVE_INFINITY;
  #flushables: Flushable[] = [];
  /** From the beginning of a turn to `endTurn()`. */
  #inTurn: boolean = false;

  constructor(loop: Loop, waker: Waker) {
    this.#loop = loop;
    this.#waker = waker;
  }

  /** Appends to the ready queue. */
  push(entry: Runnable): void {
    this.ready.push(entry);
    if (!this.#awake) {
      this.#awake = true;
      this.#waker.wake();
    }
  }

  callSoon(callback: AnyCallback, args: unknown[]): Handle {
    const handle = new Handle(callback, args);
    this.push(handle);
    return handle;
  }

  callAt(when: number, callback: AnyCallback, args: unknown[]): TimerHandle {
    const handle = new TimerHandle(when, this.#seq++, this, callback, args);
    this.timers.push(handle);
    if (when < this.#nextWhen && !this.#awake) {
      this.#nextWhen = when;
      this.#waker.wakeAt(when);
    }
    return handle;
  }

  /** Every entry before the mark still runs; those behind it wait until the loop is run again. */
  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    this.push(STOP);
  }

  /** `flushable._flush()` at the end of this turn, or of the next one when the host has just called. */
  flushAtTurnEnd(flushable: Flushable): void {
    this.#flushables.push(flushable);
    if (!this.#inTurn && !this.#awake) {
      this.#awake = true;
      this.#waker.wake();
    }
  }

  report(context: ExceptionContext): void {
    this.#loop.callExceptionHandler(context);
  }

  /** Answers whether anything has run. Nothing has where the host has only called protocols: what they wrote is to leave. */
  runTurn(now: number): boolean {
    this.#awake = true;
    this.#inTurn = true;
    const anything = this.ready.length > 0 || this.timers.nextWhen() <= now;
    try {
      if (anything) runInLoop(this.#loop, runEntries, { scheduler: this, now });
    } finally {
      this.rest();
    }
    return anything;
  }

  /** The microtasks of the turn are done: writes leave. */
  endTurn(): void {
    this.#inTurn = false;
    // What the turn resumed may have cancelled the earliest timer. The waker has to know: virtual time would jump to it.
    if (!this.#awake && this.timers.nextWhen() !== this.#nextWhen) this.rest();
    if (this.#flushables.length === 0) return;
    const flushables = this.#flushables;
    this.#flushables = [];
    for (const flushable of flushables) flushable._flush();
  }

  /** After a turn, and when the loop starts: asks the waker for the next one. */
  rest(): void {
    if (this.ready.length > 0) {
      this.#awake = true;
      this.#waker.wake();
    } else {
      this.#awake = false;
      this.#nextWhen = this.timers.nextWhen();
      this.#waker.wakeAt(this.#nextWhen);
    }
  }

  clear(): void {
    for (const entry of this.ready) entry._abandon?.();
    this.ready.clear();
    this.stopping = false;
    for (const timer of this.timers) timer._waitingIn = null;
    this.timers.clear();
    this.#flushables = [];
  }
}

interface Turn {
  scheduler: Scheduler;
  now: number;
}

function runEntries(turn: Turn): void {
  const scheduler = turn.scheduler;
  const { ready, timers } = scheduler;
  for (let timer = timers.popDue(turn.now); timer !== undefined; timer = timers.popDue(turn.now)) {
    timer._waitingIn = null;
    ready.push(timer);
  }
  for (let left = ready.length; left > 0; left--) {
    const entry = ready.shift() as Runnable;
    if (scheduler.observer !== null) scheduler.observer(entry);
    if (scheduler.debugRun !== null) scheduler.debugRun(entry);
    else entry._run(scheduler);
    if (scheduler.stopped) break;
  }
}
