/**
 * Computations of the thread pool that programs of a world have asked for: one at a time, in order.
 *
 * Threads end in an order that nothing can foresee. So a computation begins when nothing else is left to do
 * at its moment of the world, and the world waits for it, with everything that follows from it, before the
 * next one begins.
 */
import type { Timeline } from '../../backend/sim/timeline.ts';
import type { Place } from '../place.ts';

/** Seconds. Behind everything of this moment, and before every other one. */
const NEXT_MOMENT = 1e-9;

/** Begins a computation, and calls `done` at its end. */
type Begin = (done: () => void) => void;

class Line {
  readonly #timeline: Timeline;
  readonly #waiting: Begin[] = [];
  #busy: boolean = false;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  enter(begin: Begin): void {
    this.#waiting.push(begin);
    if (!this.#busy) this.#next();
  }

  #next(): void {
    const begin = this.#waiting.shift();
    this.#busy = begin !== undefined;
    begin?.(() => {
      this.#timeline.at(this.#timeline.time() + NEXT_MOMENT, () => this.#next(), true);
    });
  }
}

const lines: WeakMap<Timeline, Line> = new WeakMap();

/** Begins a computation of a program when its turn has come. */
export function oneByOne(place: Place, begin: Begin): void {
  const { host } = place.kernel;
  let line = lines.get(host.timeline);
  if (line === undefined) {
    line = new Line(host.timeline);
    lines.set(host.timeline, line);
  }
  const entered = line;
  const letGo = place.keepAlive();
  place.at(host.time() + NEXT_MOMENT, () => {
    entered.enter((done) => {
      begin(() => {
        letGo();
        done();
      });
    });
  });
}
