/** The jobs of the default executors on a simulated host. Each takes a virtual time, which is random. */
import type { Executors, InThreadJobs, RawRequest } from '../backend.ts';
import { lateBy } from './choices.ts';
import type { SimHost } from './host.ts';
import type { Random } from './random.ts';

/** Seconds. */
const SHORTEST_JOB = 0.001;
const LONGEST_JOB = 0.005;

export class SimJobs implements InThreadJobs {
  workers: number = 4;
  /** Returns the seconds that the next job takes. */
  seconds: () => number;
  readonly #host: SimHost;

  constructor(host: SimHost) {
    this.#host = host;
    const random: Random = host.random.fork('jobs');
    this.seconds = () => SHORTEST_JOB + random.next() * (LONGEST_JOB - SHORTEST_JOB);
  }

  schedule(run: () => void): RawRequest {
    const { name, timeline } = this.#host;
    const seconds = this.seconds() + lateBy(timeline.choices, 'job', name);
    return this.#host.at(this.#host.time() + seconds, run, `a job of ${name}`);
  }

  hold(): () => void {
    return this.#host.timeline.hold();
  }

  /** As the loops of the host have them. */
  get executors(): Executors {
    return { inThread: this, hold: () => this.hold() };
  }
}
