/** Hosts of a small world for tests, and loops on them. */
import { Fabric } from '../../../src/backend/sim/fabric/fabric.ts';
import type { Link } from '../../../src/backend/sim/fabric/link.ts';
import type { Packet } from '../../../src/backend/sim/fabric/packet.ts';
import { Rule } from '../../../src/backend/sim/fabric/rules.ts';
import type { Verdict } from '../../../src/backend/sim/fabric/verdict.ts';
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
    const index = this.#count++;
    return [`10.0.${Math.floor(index / 250)}.${(index % 250) + 1}`, `fd00::${(index + 1).toString(16)}`];
  }

  /** Loses the packets for which `stops` returns true. Returns a function that ends this. */
  stop(stops: (packet: Packet) => boolean = () => true): () => void {
    return this.shape((packet, verdict) => {
      if (stops(packet)) verdict.drop('test');
    });
  }

  /** Treats each packet between two hosts. Returns a function that ends this. */
  shape(treat: (packet: Packet, verdict: Verdict) => void): () => void {
    const all = { text: 'all', has: () => true };
    const route = { from: all, to: all, both: false, protocol: null, port: null };
    const apply = (packet: Packet, _link: Link, _now: number, verdict: Verdict): void =>
      treat(packet, verdict);
    return this.fabric.addRule(new Rule(route, { text: 'test', apply }));
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
