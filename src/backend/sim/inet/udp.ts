/** UDP of a simulated host: its ports and its sockets. */

import type { ErrorCode } from '../errors.ts';
import { systemError } from '../errors.ts';
import { LOOPBACK_SECONDS } from '../fabric/fabric.ts';
import type { IcmpMessage, UdpDatagram } from '../fabric/packet.ts';
import type { DatagramKernel } from '../kernel-sockets.ts';
import type { Random } from '../random.ts';
import type { InetAddress } from './inet.ts';
import { isMulticast, shownAddress } from './inet.ts';
import type { Network } from './network.ts';
import { fit, flowHash, Ports } from './ports.ts';
import type { UdpHome } from './udp-socket.ts';
import { UdpSocket } from './udp-socket.ts';

const TWO_TO_32 = 2 ** 32;
/** The groups of which every host is a member. */
const ALL_HOSTS: readonly string[] = ['224.0.0.1', 'ff01::1', 'ff02::1'];

export class UdpStack implements DatagramKernel, UdpHome {
  readonly network: Network;
  readonly #ports: Ports<UdpSocket>;
  /** Chooses among sockets that share a port. */
  readonly #salt: number;

  constructor(network: Network, random: Random) {
    this.network = network;
    this.#salt = random.integer(TWO_TO_32);
    this.#ports = new Ports(random);
  }

  open(family: number): UdpSocket {
    return new UdpSocket(this, family);
  }

  claim(socket: UdpSocket, { host, port }: InetAddress): void {
    socket.host = host;
    socket.port = port;
    const isFree = (candidate: number): boolean => {
      socket.port = candidate;
      return !this.#ports.conflicts(socket);
    };
    socket.port = port === 0 ? this.#ports.choose(isFree) : port;
    if (socket.port !== 0 && !this.#ports.conflicts(socket)) {
      this.#ports.claim(socket);
      return;
    }
    socket.port = 0;
    throw systemError('EADDRINUSE', 'bind', shownAddress(socket.family, host, port));
  }

  release(socket: UdpSocket): void {
    this.#ports.release(socket);
  }

  // --- packets ---

  receive(datagram: UdpDatagram): void {
    if (this.network.isGroup(datagram.destination)) {
      this.#deliverToAll(datagram);
      return;
    }
    const socket = this.#socketFor(datagram);
    if (socket !== null) {
      socket.deliver(datagram);
      return;
    }
    this.network.transmit({
      protocol: 'icmp',
      source: datagram.destination,
      destination: datagram.source,
      reason: 'port-unreachable',
      about: datagram,
    });
  }

  #deliverToAll(datagram: UdpDatagram): void {
    const { destination } = datagram;
    const isGroup = isMulticast(destination);
    if (isGroup ? !this.#isMember(destination) : !this.network.hearsBroadcast(destination)) return;
    for (const socket of this.#ports.at(datagram.destinationPort)) {
      const isAsked = !isGroup || socket.options.multicastAll || socket.groups.has(destination);
      if (isAsked && fit(socket, destination) > 0 && isFromPeer(socket, datagram)) socket.deliver(datagram);
    }
  }

  #isMember(group: string): boolean {
    if (ALL_HOSTS.includes(group)) return true;
    for (const socket of this.#ports) if (socket.groups.has(group)) return true;
    return false;
  }

  /**
   * A connected socket is better than others; of equal ones, the newest is best, or with `SO_REUSEPORT` any.
   */
  #socketFor(datagram: UdpDatagram): UdpSocket | null {
    const { source, sourcePort, destination, destinationPort } = datagram;
    let best: UdpSocket | null = null;
    let bestFit = 0;
    let equals = 0;
    for (const socket of this.#ports.at(destinationPort)) {
      const fits = fit(socket, destination);
      if (fits === 0 || !isFromPeer(socket, datagram)) continue;
      const score = socket.peer === null ? fits : fits + 4;
      if (score < bestFit) continue;
      equals = score === bestFit ? equals + 1 : 1;
      bestFit = score;
      if (equals === 1 || !socket.reusePort || flowHash(this.#salt, source, sourcePort, equals) === 0)
        best = socket;
    }
    return best;
  }

  sendToGroup(datagram: UdpDatagram, loops: boolean, leaves: boolean): void {
    const { host, fabric } = this.network;
    if (leaves) fabric.sendToAll(datagram, host);
    if (loops) host.kernelAfter(LOOPBACK_SECONDS, () => this.receive(datagram));
  }

  unreachable({ about }: IcmpMessage, code: ErrorCode): void {
    for (const socket of this.#ports.at(about.sourcePort)) {
      const { peer } = socket;
      if (peer?.host !== about.destination || peer.port !== about.destinationPort) continue;
      if (fit(socket, about.source) > 0) socket.unreachable(code);
    }
  }

  // --- the whole ---

  get sockets(): UdpSocket[] {
    return [...this.#ports];
  }

  crash(): void {
    this.closeAll();
  }

  closeAll(): void {
    for (const socket of this.sockets) socket.close();
  }
}

function isFromPeer({ peer }: UdpSocket, { source, sourcePort }: UdpDatagram): boolean {
  return peer === null || (peer.port === sourcePort && peer.host === source);
}
