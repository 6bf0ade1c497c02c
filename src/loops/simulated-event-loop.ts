import { SimBackend } from '../backend/sim/index.ts';
import { checkOptions, checkSeconds } from '../base/validate.ts';
import { BaseEventLoop } from '../event-loop.ts';

export interface SimulatedEventLoopOptions {
  /** Seconds: what `loop.time()` says at the beginning. Default: 0. */
  startTime?: number;
}

/**
 * A loop whose time is virtual: it stands still while anything is ready and jumps to the next deadline when nothing is. A test of
 * an hour takes milliseconds, and two runs do the same in the same order.
 *
 * What waits for the real world (a native promise of a file, say) does not stop time from jumping: in a simulation, wait for
 * what the loop knows.
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
  constructor(options: SimulatedEventLoopOptions = {}) {
    checkOptions('options', options, ['startTime']);
    if (options.startTime !== undefined) checkSeconds('options.startTime', options.startTime);
    super(new SimBackend(options.startTime ?? 0));
  }
}
