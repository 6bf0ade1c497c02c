/** A UDP socket of a simulated kernel. */
import type { SocketAddress } from '../../../base/address.ts';
import { AF_INET6 } from '../../../base/constants.ts';
import { ownCopy } from '../../../base/own-memory.ts';
import { RingQueue } from '../../../base/ring-queue.ts';
import type { ErrorCode } from '../errors.ts';
import { systemError } from '../errors.ts';
import type { UdpDatagram } from '../fabric/packet.ts';
import type {
  BindOptions,
  DatagramSocket,
  DatagramSocketEvents,
  ReceivedDatagram,
} from '../kernel-sockets.ts';
import type { InetAddress } from './inet.ts';
import { familyOf, isBroadcast, isMulticast, parseAddress, shownAddress } from './inet.ts';
import type { Network } from './network.ts';
import type { PortUse } from './ports.ts';
import type { Memberships } from './udp-options.ts';
import { UdpOptions } from './udp-options.ts';

/** Bytes of data in the longest datagram. */
const LONGEST_IPV4 = 65_507;
const LONGEST_IPV6 = 65_527;
/** Bytes of data in a datagram that needs no fragments. */
const UNFRAGMENTED_IPV4 = 1472;
const UNFRAGMENTED_IPV6 = 1452;
/** Bytes that Linux counts for a datagram in a receive buffer, beside its data. */
const RECORD_BYTES = 768;

/** The part of the kernel that has the socket. */
export interface UdpHome {
  readonly network: Network;
  /** Throws the system's error if the port is taken. With port 0, chooses one. */
  claim(socket: UdpSocket, address: InetAddress): void;
  release(socket: UdpSocket): void;
  /** Sends to a group of hosts. */
  sendToGroup(datagram: UdpDatagram, loops: boolean, leaves: boolean): void;
}

export class UdpSocket implements DatagramSocket, PortUse, Memberships {
  readonly family: number;
  readonly options: UdpOptions;
  readonly bound: boolean = true;
  readonly listening: boolean = false;
  readonly groups: Set<string> = new Set();
  events: DatagramSocketEvents | null = null;
  /** Set when the port is claimed. */
  host: string = '';
  port: number = 0;
  peer: InetAddress | null = null;
  /** Bytes in the receive buffer, with those that Linux adds. */
  queuedBytes: number = 0;
  /** Datagrams for which the receive buffer had no room. */
  dropped: number = 0;
  readonly #home: UdpHome;
  readonly #queue: RingQueue<ReceivedDatagram> = new RingQueue();
  #starved: boolean = true;
  #closed: boolean = false;
  #failure: ErrorCode | null = null;
  /** The last destination: most sockets send to few addresses. */
  #lastAddress: SocketAddress | null = null;
  #lastTarget: InetAddress | null = null;

  constructor(home: UdpHome, family: number) {
    this.#home = home;
    this.family = family;
    this.options = new UdpOptions(family, this);
    this.options.takeError = this.#takeError;
  }

  get reuseAddress(): boolean {
    return this.options.reuseAddress;
  }

  get reusePort(): boolean {
    return this.options.reusePort;
  }

  get ipv6Only(): boolean {
    return this.options.ipv6Only;
  }

  get sockname(): SocketAddress | null {
    return this.port === 0 ? null : shownAddress(this.family, this.host, this.port);
  }

  get peername(): SocketAddress | null {
    return this.peer === null ? null : shownAddress(this.family, this.peer.host, this.peer.port);
  }

  get readable(): boolean {
    return this.#queue.length > 0;
  }

  get writable(): boolean {
    return !this.#closed;
  }

  // --- addresses ---

  bind(address: SocketAddress, options: BindOptions): void {
    if (this.port !== 0) throw systemError('EINVAL', 'bind', address);
    if (familyOf(address) !== this.family) throw systemError('EAFNOSUPPORT', 'bind', address);
    this.options.reuseAddress = options.reuseAddress;
    this.options.reusePort = options.reusePort;
    this.options.ipv6Only = options.ipv6Only;
    this.#home.claim(this, this.#home.network.local(address));
  }

  connect(address: SocketAddress): void {
    const target = this.#target(address, 'connect');
    const source = this.#sourceFor(target.host);
    if (source === null) throw systemError('ENETUNREACH', 'connect', address);
    if (isBroadcast(target.host) && !this.options.broadcast) throw systemError('EACCES', 'connect', address);
    if (this.port === 0) this.#home.claim(this, { host: source, port: 0 });
    // From now on, the kernel takes datagrams for this address only.
    else if (this.#isUnspecified) this.host = source;
    this.peer = target;
  }

  get #isUnspecified(): boolean {
    return this.host === '0.0.0.0' || this.host === '::';
  }

  #target(address: SocketAddress, syscall: string): InetAddress {
    if (address === this.#lastAddress) return this.#lastTarget as InetAddress;
    if (familyOf(address) !== this.family) throw systemError('EAFNOSUPPORT', syscall, address);
    const target = this.#home.network.target(parseAddress(address));
    const isMapped = this.family === AF_INET6 && !target.host.includes(':');
    if (isMapped && this.options.ipv6Only) throw systemError('ENETUNREACH', syscall, address);
    this.#lastAddress = address;
    this.#lastTarget = target;
    return target;
  }

  #sourceFor(host: string): string | null {
    const isBound = this.port !== 0 && !this.#isUnspecified && !this.#home.network.isGroup(this.host);
    if (!isBound) return this.#home.network.sourceFor(host);
    return this.host.includes(':') === host.includes(':') ? this.host : null;
  }

  // --- sending ---

  send(data: Uint8Array, address: SocketAddress | null): boolean {
    const { network } = this.#home;
    const target = address === null ? this.peer : this.#target(address, 'send');
    if (target === null) throw systemError('EDESTADDRREQ', 'send');
    const failure = this.#takeError() ?? this.#whyNot(data.length, target);
    if (failure !== null) throw systemError(failure, 'send', address ?? this.peername);
    const source = this.#sourceFor(target.host) as string;
    if (this.port === 0) this.#home.claim(this, anyOf(this.family));
    const datagram: UdpDatagram = {
      protocol: 'udp',
      source,
      sourcePort: this.port,
      destination: target.host,
      destinationPort: target.port,
      data: ownCopy(data),
    };
    if (isBroadcast(target.host)) this.#home.sendToGroup(datagram, true, true);
    else if (isMulticast(target.host)) {
      this.#home.sendToGroup(datagram, this.options.multicastLoop, this.options.multicastHops > 0);
    } else network.transmit(datagram);
    return true;
  }

  #whyNot(length: number, { host, port }: InetAddress): ErrorCode | null {
    if (port === 0) return 'EINVAL';
    const isIPv6 = host.includes(':');
    if (length > (isIPv6 ? LONGEST_IPV6 : LONGEST_IPV4)) return 'EMSGSIZE';
    const { network } = this.#home;
    const whole = isIPv6 ? UNFRAGMENTED_IPV6 : UNFRAGMENTED_IPV4;
    if (this.options.neverFragments && length > whole && !network.isOwn(host)) return 'EMSGSIZE';
    if (isBroadcast(host) && !this.options.broadcast) return 'EACCES';
    const source = this.#sourceFor(host);
    if (source === null) return 'ENETUNREACH';
    return network.isLoopback(source) && !network.isOwn(host) && !network.isGroup(host) ? 'EINVAL' : null;
  }

  // --- receiving ---

  /** Takes a datagram of the network, if the buffer has room. */
  deliver(datagram: UdpDatagram): void {
    const bytes = datagram.data.length + RECORD_BYTES;
    // The last datagram may go beyond the limit, as on Linux.
    if (this.queuedBytes > this.options.receiveBuffer) {
      this.dropped++;
      return;
    }
    this.queuedBytes += bytes;
    const address = shownAddress(this.family, datagram.source, datagram.sourcePort);
    // A copy, because the network may deliver the same datagram more than once.
    this.#queue.push({ data: ownCopy(datagram.data), address });
    if (!this.#starved) return;
    this.#starved = false;
    this.events?.onReadable();
  }

  receive(): ReceivedDatagram | null {
    const datagram = this.#queue.shift();
    if (this.#queue.length === 0) this.#starved = true;
    if (datagram === undefined) return null;
    this.queuedBytes -= datagram.data.length + RECORD_BYTES;
    return datagram;
  }

  /** The network could not deliver a datagram of this socket. Only a connected one learns that. */
  unreachable(code: ErrorCode): void {
    if (this.events === null) this.#failure = code;
    else this.events.onError(systemError(code, 'recvmsg', this.peername));
  }

  #takeError = (): ErrorCode | null => {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  };

  // --- groups ---

  join(group: string): void {
    this.#checkGroup(group);
    if (this.groups.has(group)) throw systemError('EADDRINUSE', 'setsockopt');
    this.groups.add(group);
  }

  leave(group: string): void {
    this.#checkGroup(group);
    if (!this.groups.delete(group)) throw systemError('EADDRNOTAVAIL', 'setsockopt');
  }

  #checkGroup(group: string): void {
    if (this.#closed) throw systemError('EBADF', 'setsockopt');
    const isOfFamily = group.includes(':') === (this.family === AF_INET6);
    if (!isOfFamily || !isMulticast(group)) throw systemError('EINVAL', 'setsockopt');
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.events = null;
    this.groups.clear();
    this.#queue.clear();
    this.#home.release(this);
  }
}

function anyOf(family: number): InetAddress {
  return { host: family === AF_INET6 ? '::' : '0.0.0.0', port: 0 };
}
