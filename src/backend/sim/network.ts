/** TCP and UDP of a simulated host. */
import type { Fabric, PacketReceiver } from './fabric.ts';
import type { SimHost } from './host.ts';
import type { Packet } from './packet.ts';

export class Network implements PacketReceiver {
  readonly host: SimHost;
  readonly fabric: Fabric;

  constructor(host: SimHost, fabric: Fabric) {
    this.host = host;
    this.fabric = fabric;
  }

  receive(_packet: Packet): void {}
}
