/**
 * Runs the turns of a loop. gyre is a guest on the host's loop and never blocks it:
 *
 *      host loop (libuv, or the simulator)                       gyre
 *   ┌─ timers ────────── a deadline has come ──────────────────▶ turns
 *   │  poll ──────────── a socket has data ────▶ protocol callback, which may schedule: wake()
 *   └─ check ─────────── wake() was called ────────────────────▶ turns
 *
 * The scheduler has the ready queue and the queue of deadlines, which tell whether and when a turn is wanted.
 * The backend only remembers the wake-ups that it asked the host for.
 *
 * While the pump runs, it keeps the host alive, even if there is nothing to wait for. A stopped pump does
 * not.
 */
import type { Backend, Turns } from '../backend/backend.ts';
import { LoopError } from '../base/errors.ts';
import type { Scheduler, Waker } from './scheduler.ts';

/**
 * The number of turns in one call of the host. A call costs as much as several short turns; 64 of these take
 * 100 µs.
 */
const TURNS_A_CALL = 64;
/** How often the clock is read in a loop without timers. Each reading costs a tenth of a short turn. */
const TURNS_A_READING = 8;
/**
 * Seconds after which no turn begins in the same call, because sockets and other loops of the thread wait for
 * its end.
 */
const SECONDS_A_CALL = 0.0005;

export class Pump implements Waker, Turns {
  readonly #backend: Backend;
  #scheduler: Scheduler | null = null;
  /** Resolves the promise of the run; null while the loop does not run. */
  #resolve: (() => void) | null = null;
  /** A turn has begun and is not over, because the host needs the thread to drain. */
  #inTurn: boolean = false;
  #turnsLeft: number = 0;
  #until: number = 0;
  /** The last reading of the clock. */
  #now: number = 0;
  /** When the last entry has ended, while each is timed. */
  #entryAt: number = 0;
  /** Turns and entries since the last reading. */
  #turns: number = 0;
  #entries: number = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get running(): boolean {
    return this.#resolve !== null;
  }

  /** Starts the host. The promise resolves after the turn that reaches the mark of `stop()`. */
  start(scheduler: Scheduler): Promise<void> {
    if (this.running) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    this.#backend.start(this);
    this.#scheduler = scheduler;
    scheduler.stopped = false;
    this.#now = this.#backend.time();
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#rest(scheduler);
    });
  }

  wake(): void {
    if (this.running) this.#backend.wake();
  }

  wakeAt(when: number): void {
    if (this.running) this.#backend.wakeAt(when);
  }

  nextWhen(): number {
    return (this.#scheduler as Scheduler).timers.nextWhen();
  }

  /** Runs turns. The host calls it. */
  run(): void {
    const scheduler = this.#scheduler as Scheduler;
    // The host also calls this while it drains for the current turn. That turn handles everything that is
    // wanted.
    if (scheduler.awake) return;
    scheduler.awake = true;
    this.#turnsLeft = TURNS_A_CALL;
    const now = this.#backend.time();
    scheduler.meter.host.add(now - this.#now);
    scheduler.recorder?.call(scheduler.number, now);
    this.#now = now;
    this.#turns = 0;
    this.#entries = scheduler.entries;
    this.#until = now + SECONDS_A_CALL;
    this.#runTurns();
  }

  /**
   * Runs turns until nothing is ready or the call has taken long enough.
   *
   * If the host needs the thread to drain, this returns in the middle of a turn. The host calls it again, and
   * it continues there.
   */
  #runTurns = (): void => {
    const scheduler = this.#scheduler as Scheduler;
    const backend = this.#backend;
    let wanted = false;
    do {
      // 1. The turn is the entries that are ready, and behind them the timers that are due. Entries that they
      //    add wait for the next turn.
      if (!this.#inTurn) this.#beginTurn(scheduler);

      // 2. Each entry runs, and then all microtasks and ticks that it caused: code that it resumed reaches
      //    its next await before the next entry begins. At the mark of stop() the turn ends; the entries
      //    behind the mark stay in the queue.
      while (scheduler.runNext()) {
        if (!backend.drain(this.#runTurns)) return;
        if (this.#now < scheduler.meter.timesUntil) this.#timeEntry(scheduler);
      }
      this.#inTurn = false;

      // 3. The writes of the turn are sent, with one system call for each transport.
      scheduler.flush();

      // 4. A stop ends the run here and not at its mark: code that the turn resumed is still code of a
      //    running loop.
      if (scheduler.stopped) {
        this.#measure(scheduler);
        this.#end(scheduler);
        return;
      }

      // 5. For a while, the next turn follows in the same call of the host.
      wanted = scheduler.wanted;
      if (!wanted || scheduler.timers.size > 0 || this.#turnsLeft % TURNS_A_READING === 0)
        this.#measure(scheduler);
    } while (wanted && --this.#turnsLeft > 0 && this.#now < this.#until);
    this.#rest(scheduler);
  };

  #beginTurn(scheduler: Scheduler): void {
    this.#inTurn = true;
    this.#turns++;
    this.#entryAt = this.#now;
    scheduler.beginTurn(this.#now);
  }

  /** Reads the clock, and gives the turns since the last reading to the meter. */
  #measure(scheduler: Scheduler): void {
    const now = this.#backend.time();
    const entries = (scheduler.entries - this.#entries) | 0;
    scheduler.meter.ready.add(scheduler.readyMost);
    scheduler.readyMost = 0;
    scheduler.publishTurns(this.#turns, entries, now - this.#now);
    scheduler.meter.stretch(now - this.#now, this.#turns, entries, scheduler.lastRun, now);
    scheduler.recorder?.turns(this.#turns, now, scheduler.lastRun);
    this.#now = now;
    this.#turns = 0;
    this.#entries = scheduler.entries;
  }

  #timeEntry(scheduler: Scheduler): void {
    const now = this.#backend.time();
    scheduler.meter.entry(now - this.#entryAt, scheduler.lastRun, now);
    scheduler.recorder?.time(now);
    this.#entryAt = now;
  }

  /** Ends the run at once, and never resolves its promise: the program of this loop has been killed. */
  abandon(): void {
    const scheduler = this.#scheduler;
    if (!this.running || scheduler === null) return;
    this.#resolve = () => {};
    // A turn that is on the stack ends the run itself.
    scheduler.stopped = true;
    if (!scheduler.awake) this.#end(scheduler);
  }

  /** Asks the host for the next call, and returns the thread to it. */
  #rest(scheduler: Scheduler): void {
    scheduler.awake = false;
    scheduler.lastRun = null;
    if (scheduler.wanted) this.#backend.wake();
    else this.#backend.wakeAt(scheduler.timers.nextWhen());
  }

  #end(scheduler: Scheduler): void {
    scheduler.awake = false;
    scheduler.lastRun = null;
    const resolve = this.#resolve as () => void;
    this.#resolve = null;
    this.#backend.stop();
    resolve();
  }
}
