/**
 * The turn. gyre is a guest on the host's loop and never blocks it:
 *
 *      host loop (libuv, or the simulator)                       gyre
 *   ┌─ timers ────────── a deadline has come ──────────────────▶ turns
 *   │  poll ──────────── a socket has data ────▶ protocol callback, which may schedule: wake()
 *   └─ check ─────────── wake() was called ────────────────────▶ turns
 *
 * The ready queue and the heap of deadlines are the scheduler's; whether a turn is wanted, and when, is read
 * off them. The backend only keeps what it has asked the host for.
 *
 * While the pump runs the host is kept alive: a loop that has nothing to wait for stays, a stopped one lets
 * go.
 */
import type { Backend, Turns } from '../backend/backend.ts';
import { LoopError } from '../base/errors.ts';
import type { Scheduler, Waker } from './scheduler.ts';

/** Turns in one call of the host, which costs as much as several short turns. 64 of these take some 100 µs. */
const TURNS_A_CALL = 64;
/** Without timers the clock only ends the call. To read it costs a tenth of a short turn, so it is read so often. */
const TURNS_A_READING = 8;
/**
 * Seconds, after which no turn begins in the same call: sockets, and other loops of the thread, wait for its
 * end.
 */
const SECONDS_A_CALL = 0.0005;

export class Pump implements Waker, Turns {
  readonly #backend: Backend;
  #scheduler: Scheduler | null = null;
  /** Ends `run()`; null while the loop does not run. */
  #resolve: (() => void) | null = null;
  /** A turn was begun, and is not over: the host has the thread, to drain. */
  #inTurn: boolean = false;
  #turnsLeft: number = 0;
  #until: number = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get running(): boolean {
    return this.#resolve !== null;
  }

  /** Starts the host, and ends when a turn has come to the mark of `stop()`. */
  start(scheduler: Scheduler): Promise<void> {
    if (this.running) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    this.#backend.start(this);
    this.#scheduler = scheduler;
    scheduler.stopped = false;
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

  /** The host calls. */
  run(): void {
    const scheduler = this.#scheduler as Scheduler;
    // The host also drains for a turn that is under way, and that one sees all that is wanted.
    if (scheduler.awake) return;
    scheduler.awake = true;
    this.#turnsLeft = TURNS_A_CALL;
    this.#until = this.#backend.time() + SECONDS_A_CALL;
    this.#runTurns();
  }

  /**
   * Turns, until nothing is ready or the call has taken long enough.
   *
   * Where the host must have the thread to drain, this returns in the middle of a turn, is called again, and
   * goes on there.
   */
  #runTurns = (): void => {
    const scheduler = this.#scheduler as Scheduler;
    const backend = this.#backend;
    let now = backend.time();
    do {
      // 1. Timers that are due move behind the entries that are ready. These are the turn; entries that they
      //    add wait for the next.
      if (!this.#inTurn) scheduler.beginTurn(now);
      this.#inTurn = true;

      // 2. Each entry runs, and then all microtasks and ticks that it has brought about: code that it resumed
      //    comes to its next await before the next entry begins. At the mark of stop() the turn ends; the
      //    entries behind it stay.
      while (scheduler.runNext()) if (!backend.drain(this.#runTurns)) return;
      this.#inTurn = false;

      // 3. Writes leave, one system call for each transport.
      scheduler.flush();

      // 4. A stop ends the run here and not at its mark: code that the turn resumed is still code of a
      //    running loop.
      if (scheduler.stopped) {
        this.#end(scheduler);
        return;
      }

      // 5. The next turn needs no call of the host, for a while.
      if (scheduler.timers.size > 0 || this.#turnsLeft % TURNS_A_READING === 0) now = backend.time();
    } while (scheduler.wanted && --this.#turnsLeft > 0 && now < this.#until);
    this.#rest(scheduler);
  };

  /** The host has the thread: it is told when to call. */
  #rest(scheduler: Scheduler): void {
    scheduler.awake = false;
    if (scheduler.wanted) this.#backend.wake();
    else this.#backend.wakeAt(scheduler.timers.nextWhen());
  }

  #end(scheduler: Scheduler): void {
    scheduler.awake = false;
    const resolve = this.#resolve as () => void;
    this.#resolve = null;
    this.#backend.stop();
    resolve();
  }
}
