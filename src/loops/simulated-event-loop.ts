import { SimBackend } from '../backend/sim/index.ts';
import type { TraceEntry } from '../backend/sim/trace.ts';
import { Trace } from '../backend/sim/trace.ts';
import { checkBoolean, checkOptions, checkSeconds } from '../base/validate.ts';
import { BaseEventLoop } from '../event-loop.ts';

export interface SimulatedEventLoopOptions {
  /** Seconds: what `loop.time()` says at the beginning. Default: 0. */
  startTime?: number;
  /** Writes down whatever the loop runs: see `trace`. Default: false. */
  trace?: boolean;
}

/**
 * A loop whose time is virtual: it stands still while anything is ready and jumps to the next deadline when
 * nothing is. A test of an hour takes milliseconds, and two runs do the same in the same order.
 *
 * What waits for the real world (a native promise of a file, say) does not stop time from jumping: in a
 * simulation, wait for what the loop knows.
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
   * With the option `trace`: what this loop has run, each callback, timer and wake-up right before it ran.
   * Two runs of one program give the same trace; `checkDeterminism` holds it. It is never cleared.
   */
  readonly trace: readonly TraceEntry[];

  /** @param options `startTime` in seconds; `trace` */
  constructor(options: SimulatedEventLoopOptions = {}) {
    checkOptions('options', options, ['startTime', 'trace']);
    if (options.startTime !== undefined) checkSeconds('options.startTime', options.startTime);
    if (options.trace !== undefined) checkBoolean('options.trace', options.trace);
    const backend = new SimBackend(options.startTime ?? 0);
    super(backend);
    const trace = new Trace();
    this.trace = trace.entries;
    if (options.trace === true) this._scheduler.observer = (entry) => trace.add(backend.time(), entry);
  }
}
