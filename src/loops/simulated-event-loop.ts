import { SimBackend } from '../backend/sim/index.ts';
import { loneKernel } from '../backend/sim/kernel.ts';
import type { TraceEntry } from '../backend/sim/trace.ts';
import { Trace } from '../backend/sim/trace.ts';
import { checkBoolean, checkOptions, checkSeconds } from '../base/validate.ts';
import { BaseEventLoop } from '../event-loop.ts';

export interface SimulatedEventLoopOptions {
  /** The value of `loop.time()` at the start, in seconds. Default: 0. */
  startTime?: number;
  /** Records everything that the loop runs: see `trace`. Default: false. */
  trace?: boolean;
}

/**
 * A loop with virtual time: time stands still while anything is ready, and then jumps to the next deadline. A
 * test of an hour takes milliseconds, and two runs do the same in the same order.
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

  /** @param options `startTime` in seconds; `trace` */
  constructor(options: SimulatedEventLoopOptions = {}) {
    checkOptions('options', options, ['startTime', 'trace']);
    if (options.startTime !== undefined) checkSeconds('options.startTime', options.startTime);
    if (options.trace !== undefined) checkBoolean('options.trace', options.trace);
    const backend = new SimBackend(loneKernel(options.startTime ?? 0));
    super(backend);
    const trace = new Trace();
    this.trace = trace.entries;
    if (options.trace === true) this._scheduler.observer = (entry) => trace.add(backend.time(), entry);
  }
}
