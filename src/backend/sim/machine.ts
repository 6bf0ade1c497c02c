/** What stays within a simulated host: unix sockets, pipes, descriptors, names, signals, programs and files. */
import type { SimHost } from './host.ts';

export class Machine {
  readonly host: SimHost;

  constructor(host: SimHost) {
    this.host = host;
  }
}
