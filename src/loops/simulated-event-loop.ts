import { SimBackend } from '../backend/sim/index.ts';
import type { Kernel } from '../backend/sim/kernel.ts';
import { loneKernel } from '../backend/sim/kernel.ts';
import type { ProgramSignals } from '../backend/sim/machine/signals.ts';
import type { TraceEntry } from '../backend/sim/trace.ts';
import { Trace } from '../backend/sim/trace.ts';
import { InvalidStateError } from '../base/errors.ts';
import { checkBoolean, checkInteger, checkOptions, checkSeconds, outOfRange } from '../base/validate.ts';
import { BaseEventLoop } from '../event-loop.ts';
import type { ExceptionContext } from '../loop/types.ts';

export interface SimulatedEventLoopOptions {
  /**
   * The value of `loop.time()` at the start, in seconds. Default: 0. Not for a loop that is made by code of a
   * simulated host, because that host has a clock.
   */
  startTime?: number;
  /** Records everything that the loop runs: see `trace`. Default: false. */
  trace?: boolean;
  /**
   * An integer from which all randomness of the loop's host comes: port numbers, for example. Default: 0. Not
   * for a loop that is made by code of a simulated host, because its world has a seed.
   */
  seed?: number;
}

/** The simulated program whose code makes a loop. */
export interface LoopPlace {
  readonly kernel: Kernel;
  /** The signal handlers of the program. */
  readonly signals: ProgramSignals;
  /** Takes the loop over: it ends with the program. */
  adopt(loop: SimulatedEventLoop): void;
  /** The loop runs until `run` settles. */
  running(loop: SimulatedEventLoop, run: Promise<void>): void;
  /** Takes a report for which the loop has no handler. */
  report(context: ExceptionContext): void;
}

let currentPlace: () => LoopPlace | null = () => null;

/** Sets the function that finds the program whose code is calling. @internal */
export function useLoopPlaces(current: () => LoopPlace | null): void {
  currentPlace = current;
}

/**
 * A loop with virtual time: time stands still while anything is ready, and then jumps to the next deadline. A
 * test of an hour takes milliseconds, and two runs do the same in the same order.
 *
 * A loop that is made by code of a simulated host belongs to that host: see {@link simulate}. Otherwise the
 * loop has a world of its own with one host, `localhost`.
 *
 * A wait for the real world (for example a native promise of a file operation) does not stop time from
 * jumping. In a simulation, wait only for things that the loop knows.
 *
 * @example
 * ```ts
 * import { sleep } from 'gyre';
 * import { SimulatedEventLoop } from 'gyre/sim';
 *
 * const loop = new SimulatedEventLoop();
 * await loop.runUntilComplete(async () => {
 *   await sleep(3600);
 *   console.log(loop.time()); // 3600
 * });
 * loop.close();
 * ```
 */
export class SimulatedEventLoop extends BaseEventLoop {
  /**
   * With the option `trace`: the callbacks, timers and wake-ups that this loop has run, each recorded right
   * before it ran. Two runs of one program give the same trace; `checkDeterminism` checks this. The trace is
   * never cleared.
   */
  readonly trace: readonly TraceEntry[];
  readonly #place: LoopPlace | null;

  /** @param options `startTime` in seconds; `trace`; `seed` */
  constructor(options: SimulatedEventLoopOptions = {}) {
    checkOptions('options', options, ['startTime', 'trace', 'seed']);
    const { startTime, trace: traces, seed } = options;
    if (startTime !== undefined) checkSeconds('options.startTime', startTime);
    if (traces !== undefined) checkBoolean('options.trace', traces);
    if (seed !== undefined) checkSeed('options.seed', seed);
    const place = currentPlace();
    if (place !== null) {
      const accepted = 'left out by code of a simulated host, whose world decides it';
      if (startTime !== undefined) throw outOfRange('options.startTime', startTime, accepted);
      if (seed !== undefined) throw outOfRange('options.seed', seed, accepted);
    }
    const kernel = place?.kernel ?? loneKernel(startTime ?? 0, seed ?? 0);
    const backend = new SimBackend(kernel, place?.signals);
    super(backend);
    const trace = new Trace();
    this.trace = trace.entries;
    if (traces === true) this._scheduler.observer = (entry) => trace.add(backend.time(), entry);
    this.#place = place;
    place?.adopt(this);
  }

  override runForever(): Promise<void> {
    const run = super.runForever();
    this.#place?.running(this, run);
    return run;
  }

  override defaultExceptionHandler(context: ExceptionContext): void {
    if (this.#place === null) super.defaultExceptionHandler(context);
    else this.#place.report(context);
  }

  /**
   * Closes the loop, as every loop.
   *
   * @throws LoopError `ERR_LOOP_RUNNING`; InvalidStateError for code of another host, because a machine
   *   cannot close what is in the memory of another one
   */
  override close(): void {
    const here = currentPlace();
    if (here !== null && this.#place !== null && here.kernel !== this.#place.kernel) {
      const owner = this.#place.kernel.host.name;
      throw new InvalidStateError(
        `this event loop belongs to host ${owner}, so code of host ${here.kernel.host.name} cannot close it`,
      );
    }
    super.close();
  }
}

/** @throws TypeError, RangeError */
export function checkSeed(name: string, seed: unknown): asserts seed is number {
  checkInteger(name, seed, 0, Number.MAX_SAFE_INTEGER);
}
