/**
 * Answers where a piece of code runs: in which program of which simulated host.
 *
 * Two sources decide, as in loop/context.ts. Code of a loop runs where its loop was made, whoever scheduled
 * it. All other code runs where its async context says. `Place.run()` sets that context and leaves every
 * loop, so the two never disagree.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kernel } from '../backend/sim/kernel.ts';
import { currentEntry, runOutsideLoops } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { LoopPlace } from '../loops/simulated-event-loop.ts';
import { useLoopPlaces } from '../loops/simulated-event-loop.ts';
import type { PolicyPlace } from '../policy.ts';
import { usePlaces } from '../policy.ts';
import type { ProgramEvents } from './program-events.ts';

/** A program on a simulated host, as code in it sees it. It is what a process is to the system. */
export interface Place extends PolicyPlace, LoopPlace {
  readonly kernel: Kernel;
  /** The name of the host. */
  readonly hostName: string;
  /** The number of the process, on its host. */
  readonly pid: number;
  /** The listeners of `process.on()`. */
  readonly events: ProgramEvents;
  /** False after the end of the program: nothing of it runs again. */
  readonly alive: boolean;
  /** Returns the milliseconds since 1970 on the clock of the host, with their fraction, for `Date`. */
  wallTime(): number;
  /** Runs `fn`, and all code that continues it, as code of this program, outside of its loops. */
  run<R>(fn: () => R): R;
  /** Calls back at this moment of the world, as code of this program, if it is alive then. */
  soon(callback: () => void): void;
  /**
   * Calls back at `when`, on the clock of the host.
   *
   * @returns a function that cancels the call
   */
  at(when: number, callback: () => void): () => void;
  /** Keeps the program alive after its main function has returned, until the returned function is called. */
  keepAlive(): () => void;
  /**
   * Calls back when the program ends, for whatever reason, to close what it has open. No user code may run
   * then.
   *
   * @param callback `crashed`: the host lost its power, so nothing may be sent
   * @returns a function that takes the request back
   */
  onEnd(callback: (crashed: boolean) => void): () => void;
  /** Ends the program at once, as `process.exit` does. Never returns. */
  exit(code: number): never;
  /**
   * Sends a signal to a process of the same host, as `process.kill` does; 0 sends none.
   *
   * @throws Error `ESRCH` if there is no such process
   */
  killProcess(pid: number, signum: number): true;
  /** Code of this program has thrown, and nothing caught it. The simulation fails. */
  fail(error: unknown, what: string): void;
}

const storage: AsyncLocalStorage<Place | undefined> = new AsyncLocalStorage();
const places: WeakMap<Loop, Place> = new WeakMap();

/** Returns the program whose code is calling, or null outside of every simulation. */
export function currentPlace(): Place | null {
  const entry = currentEntry();
  const place = entry === null ? undefined : places.get(entry._loop);
  return place ?? storage.getStore() ?? null;
}

/** Runs `fn` as code of `place`. For the implementation of `Place.run`. */
export function runIn<R>(place: Place, fn: () => R): R {
  return runOutsideLoops(() => storage.run(place, fn));
}

/** Runs `fn` as code of the machine itself: of no simulation. */
export function runOutside<R>(fn: () => R): R {
  return runOutsideLoops(() => storage.run(undefined, fn));
}

/** Code of `loop` runs in `place` from now on. */
export function placeLoop(loop: Loop, place: Place): void {
  places.set(loop, place);
}

usePlaces(currentPlace);
useLoopPlaces(currentPlace);
