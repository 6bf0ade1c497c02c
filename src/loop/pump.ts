/**
 * When a turn runs. gyre is a guest on the host's loop and never blocks it:
 *
 *      host loop (libuv, or the simulator)                       gyre
 *   ┌─ timers ────────── wakeAt(when) has come ────────────────▶ turn
 *   │  poll ──────────── a socket has data ────▶ protocol callback, which may schedule: wake()
 *   └─ check ─────────── wake() was called ─────────────────────▶ turn ──▶ microtasks: awaits go on ──▶ writes leave
 *
 * The promise of API.md, section 3: code that a turn resumes runs before the next turn. Each backend keeps it in its own
 * way (`backend.wake` calls back only once the microtasks of the turn before are done); test/backend/host.suite.ts holds it.
 *
 * Only while the pump runs is the host kept alive: a loop that has nothing to wait for stays, a stopped one lets go.
 */
import type { Backend } from '../backend/backend.ts';
import { LoopError } from '../base/errors.ts';
import type { Scheduler, Waker } from './scheduler.ts';

export class Pump implements Waker {
  readonly #backend: Backend;
  #scheduler: Scheduler | null = null;
  #resolve: (() => void) | null = null;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get running(): boolean {
    return this.#resolve !== null;
  }

  run(scheduler: Scheduler): Promise<void> {
    if (this.running) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    this.#scheduler = scheduler;
    scheduler.stopped = false;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#backend.start(this.#turn, this.#turnEnd);
      scheduler.rest();
    });
  }

  wake(): void {
    if (this.running) this.#backend.wake();
  }

  wakeAt(when: number): void {
    if (this.running) this.#backend.wakeAt(when);
  }

  #turn = (): boolean => (this.#scheduler as Scheduler).runTurn(this.#backend.time());

  /** A stop ends the run here and not in the turn: what the turn resumed is still code of a running loop. */
  #turnEnd = (): void => {
    const scheduler = this.#scheduler as Scheduler;
    scheduler.endTurn();
    if (!scheduler.stopped) return;
    const resolve = this.#resolve as () => void;
    this.#resolve = null;
    this.#backend.stop();
    resolve();
  };
}
