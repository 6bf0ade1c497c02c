/** Hosts of a small world for tests, and loops on them. */
import { Fabric } from '../../../src/backend/sim/fabric.ts';
import { SimHost } from '../../../src/backend/sim/host.ts';
import { SimBackend } from '../../../src/backend/sim/index.ts';
import { Kernel } from '../../../src/backend/sim/kernel.ts';
import { Random } from '../../../src/backend/sim/random.ts';
import { Timeline } from '../../../src/backend/sim/timeline.ts';
import { BaseEventLoop } from '../../../src/event-loop.ts';

export class Hosts {
  readonly timeline: Timeline = new Timeline(0);
  readonly fabric: Fabric = new Fabric(this.timeline);
  readonly #random: Random;
  #count: number = 0;

  constructor(seed: number = 1) {
    this.#random = new Random(seed);
  }

  add(name: string, addresses: readonly string[] = this.#nextAddresses()): Kernel {
    const host = new SimHost(name, addresses, this.timeline, this.#random.fork(name));
    return new Kernel(host, this.fabric);
  }

  #nextAddresses(): string[] {
    this.#count++;
    return [`10.0.0.${this.#count}`, `fd00::${this.#count}`];
  }

  /** Lets time pass until nothing is left to happen. */
  idle(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.timeline.onIdle = resolve;
      this.timeline.enter();
    }).then(() => this.timeline.leave());
  }

  /** Lets time pass. */
  after(seconds: number): Promise<void> {
    return new Promise<void>((resolve) => {
      this.timeline.at(this.timeline.time() + seconds, resolve);
      this.timeline.enter();
    }).then(() => this.timeline.leave());
  }
}

/** A loop on a simulated host. */
export class HostLoop extends BaseEventLoop {
  readonly kernel: Kernel;

  constructor(kernel: Kernel) {
    super(new SimBackend(kernel));
    this.kernel = kernel;
  }
}
