/** The metrics of a loop, by the names of OpenTelemetry's semantic conventions. */
import { hostUtilization } from '../base/host.ts';
import type { HistogramFacts } from '../loop/histogram.ts';
import type { HeldLoop } from '../loop/meter.ts';
import type { Loop } from '../loop/types.ts';
import { tasksOf } from './waits.ts';

/** The result of `loop.metrics()`. Durations are seconds. */
export interface LoopMetrics {
  /** How late the timers of this loop ran. */
  readonly 'nodejs.eventloop.delay': HistogramFacts;
  /** The share of time in which the thread was not idle, since its start; null: the host does not know it. */
  readonly 'nodejs.eventloop.utilization': number | null;
  /**
   * Seconds of the thread since its start, by `nodejs.eventloop.state`; null: the host does not know them.
   */
  readonly 'nodejs.eventloop.time': { readonly active: number; readonly idle: number } | null;
  /** The duration of turns. Turns without a reading of the clock between them count with their mean. */
  readonly 'gyre.loop.turn.duration': HistogramFacts;
  /** The most entries that were ready at the beginning of a turn, between two readings of the clock. */
  readonly 'gyre.loop.ready.length': HistogramFacts;
  /** The time between two calls of the host: it polls for I/O, calls protocols, runs other code, or idles. */
  readonly 'gyre.loop.io.duration': HistogramFacts;
  readonly 'gyre.loop.turns': number;
  readonly 'gyre.loop.tasks': number;
  readonly 'gyre.loop.timers': number;
  readonly 'gyre.loop.handles': number;
  /** How often code held the loop for longer than `slowCallbackDuration`, and for how long in total. */
  readonly 'gyre.loop.held': {
    readonly count: number;
    readonly seconds: number;
    readonly longest: HeldLoop | null;
    readonly last: HeldLoop | null;
  };
}

export function loopMetrics(loop: Loop): LoopMetrics {
  const { meter, lateness, turns, timers } = loop._scheduler;
  // A simulation gives the same metrics in every run.
  const utilization = loop._backend.name === 'sim' ? null : hostUtilization();
  return {
    'nodejs.eventloop.delay': lateness.facts(),
    'nodejs.eventloop.utilization': utilization?.utilization ?? null,
    'nodejs.eventloop.time':
      utilization === null ? null : { active: utilization.active / 1000, idle: utilization.idle / 1000 },
    'gyre.loop.turn.duration': meter.turn.facts(),
    'gyre.loop.ready.length': meter.ready.facts(),
    'gyre.loop.io.duration': meter.host.facts(),
    'gyre.loop.turns': turns,
    'gyre.loop.tasks': tasksOf(loop).length,
    'gyre.loop.timers': timers.size,
    'gyre.loop.handles': loop._owned.resources.size,
    'gyre.loop.held': {
      count: meter.heldCount,
      seconds: meter.heldSeconds,
      longest: meter.longest,
      last: meter.last,
    },
  };
}
