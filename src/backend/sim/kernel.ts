/**
 * The kernel of a simulated host: the parts that the loops of the host share.
 *
 *   network.ts   TCP and UDP, over the fabric
 *   machine.ts   what stays within the host: unix sockets, pipes, descriptors, names, signals, programs…
 */
import { Fabric } from './fabric/fabric.ts';
import { SimHost } from './host.ts';
import { Network } from './inet/network.ts';
import { Machine } from './machine/machine.ts';
import { Random } from './random.ts';
import { Timeline } from './timeline.ts';

export class Kernel {
  readonly host: SimHost;
  readonly network: Network;
  readonly machine: Machine;

  constructor(host: SimHost, fabric: Fabric) {
    this.host = host;
    this.network = new Network(host, fabric);
    this.machine = new Machine(host);
    fabric.attach(host, this.network);
  }
}

/** Makes a world of one host, `localhost`, for a loop without a world. */
export function loneKernel(startTime: number, seed: number = 0): Kernel {
  const timeline = new Timeline(startTime);
  return new Kernel(new SimHost('localhost', [], timeline, new Random(seed)), new Fabric(timeline));
}
