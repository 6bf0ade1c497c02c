/**
 * The network of a simulated host: its addresses, and TCP and UDP.
 *
 *   tcp.ts ─ tcp-listener.ts ─ tcp-connection.ts ─ tcp-sender.ts, tcp-receiver.ts
 *   udp.ts ─ udp-socket.ts
 *   ports.ts, inet.ts, inet-options.ts    what both need
 *   netstat.ts                            the table of sockets
 */
import type { SocketAddress } from '../../../base/address.ts';
import type { ErrorCode } from '../errors.ts';
import { systemError } from '../errors.ts';
import type { Fabric, PacketReceiver } from '../fabric/fabric.ts';
import { isLoopback } from '../fabric/fabric.ts';
import type { IcmpMessage, Packet } from '../fabric/packet.ts';
import type { KernelPart, SimHost } from '../host.ts';
import type { InetAddress } from './inet.ts';
import { internHost, isBroadcast, isMulticast, parseAddress } from './inet.ts';
import { TcpStack } from './tcp.ts';
import { UdpStack } from './udp.ts';

/** Seconds until a host gives up to ask for the link address of an unknown neighbour, as on Linux. */
const NEIGHBOUR_SECONDS = 3;
/** Bytes of data in a segment, without the headers of IP and TCP. */
const IPV4_SEGMENT = 1460;
const IPV6_SEGMENT = 1440;
const LOOPBACK_SEGMENT = 65_495;

export class Network implements PacketReceiver, KernelPart {
  readonly host: SimHost;
  readonly fabric: Fabric;
  readonly tcp: TcpStack;
  readonly udp: UdpStack;
  readonly #addresses: readonly string[];
  readonly #own: ReadonlySet<string>;

  constructor(host: SimHost, fabric: Fabric) {
    this.host = host;
    this.fabric = fabric;
    this.#addresses = host.addresses.map(internHost);
    this.#own = new Set(this.#addresses);
    const random = host.random.fork('network');
    this.tcp = new TcpStack(this, random.fork('tcp'));
    this.udp = new UdpStack(this, random.fork('udp'));
    host.addPart(this);
  }

  // --- addresses ---

  /** Whether packets to the address stay on the host. */
  isOwn(address: string): boolean {
    return this.#own.has(address) || isLoopback(address);
  }

  isLoopback(address: string): boolean {
    return isLoopback(address);
  }

  /** Whether the address is that of several hosts: a group, or all. */
  isGroup(address: string): boolean {
    return isMulticast(address) || isBroadcast(address);
  }

  /** Whether a broadcast address is that of a network of this host. A network has 256 addresses. */
  hearsBroadcast(address: string): boolean {
    if (address === '255.255.255.255') return true;
    const network = address.slice(0, address.lastIndexOf('.') + 1);
    return this.host.addresses.some((own) => own.startsWith(network));
  }

  /** Returns an address to bind to. Throws the system's error. */
  local(address: SocketAddress): InetAddress {
    const parsed = parseAddress(address);
    const { host } = parsed;
    if (host !== '0.0.0.0' && host !== '::' && !this.isOwn(host) && !this.isGroup(host)) {
      throw systemError('EADDRNOTAVAIL', 'bind', address);
    }
    return parsed;
  }

  /** Returns where packets to an address go: to this host itself, if it is the address of all. */
  target({ host, port }: InetAddress): InetAddress {
    if (host === '0.0.0.0') return { host: '127.0.0.1', port };
    return host === '::' ? { host: '::1', port } : { host, port };
  }

  /** Returns the address from which packets to `destination` come; null if there is no way. */
  sourceFor(destination: string): string | null {
    const isIPv6 = destination.includes(':');
    if (isLoopback(destination)) return isIPv6 ? '::1' : '127.0.0.1';
    if (this.#own.has(destination)) return destination;
    return this.#addresses.find((address) => address.includes(':') === isIPv6) ?? null;
  }

  /** Returns the longest segment for a destination, in bytes of data. */
  segmentSize(destination: string): number {
    if (this.isOwn(destination)) return LOOPBACK_SEGMENT;
    return destination.includes(':') ? IPV6_SEGMENT : IPV4_SEGMENT;
  }

  // --- packets ---

  transmit(packet: Packet): void {
    if (this.fabric.send(packet, this.host) || packet.protocol === 'icmp') return;
    // A neighbour that is added meanwhile gets a segment that is sent again.
    this.host.kernelAfter(NEIGHBOUR_SECONDS, () => {
      if (this.fabric.hostOf(packet.destination) !== null) return;
      const { source } = packet;
      this.receive({
        protocol: 'icmp',
        source,
        destination: source,
        reason: 'host-unreachable',
        about: packet,
      });
    });
  }

  receive(packet: Packet): void {
    switch (packet.protocol) {
      case 'tcp':
        this.tcp.receive(packet);
        return;
      case 'udp':
        this.udp.receive(packet);
        return;
      case 'icmp':
        this.#unreachable(packet);
    }
  }

  #unreachable(message: IcmpMessage): void {
    const code = UNREACHABLE[message.reason];
    if (message.about.protocol === 'tcp') this.tcp.unreachable(message, code);
    else this.udp.unreachable(message, code);
  }

  // --- faults ---

  /** Forgets all sockets, without a packet. */
  crash(): void {
    this.tcp.crash();
    this.udp.crash();
  }

  /** The programs of the host have died: the kernel closes their sockets. */
  killPrograms(): void {
    this.tcp.closeAll();
    this.udp.closeAll();
  }
}

const UNREACHABLE: Readonly<Record<IcmpMessage['reason'], ErrorCode>> = {
  'port-unreachable': 'ECONNREFUSED',
  'host-unreachable': 'EHOSTUNREACH',
  'too-big': 'EMSGSIZE',
};
