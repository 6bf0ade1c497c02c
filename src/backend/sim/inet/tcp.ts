/** TCP of a simulated host: its ports, its listening sockets and its connections. */
import type { SocketAddress } from '../../../base/address.ts';
import type { RawRequest } from '../../backend.ts';
import type { Channel, KernelOptions } from '../channel.ts';
import type { ErrorCode } from '../errors.ts';
import { systemError } from '../errors.ts';
import type { IcmpMessage, TcpSegment } from '../fabric/packet.ts';
import { ACK, RST, resetOf, SYN } from '../fabric/packet.ts';
import type { Binding, BindOptions, StreamKernel } from '../kernel-sockets.ts';
import type { Random } from '../random.ts';
import type { Timeline } from '../timeline.ts';
import { familyOf, parseAddress, shownAddress } from './inet.ts';
import type { Network } from './network.ts';
import type { PortUse } from './ports.ts';
import { fit, flowHash, Ports } from './ports.ts';
import { TcpConnection } from './tcp-connection.ts';
import { TcpListener } from './tcp-listener.ts';
import { TcpOptions } from './tcp-options.ts';
import type { TcpEnds, TcpHome } from './tcp-types.ts';

const TWO_TO_32 = 2 ** 32;

/** A port that a program has bound, or that the kernel has chosen for a connection. */
export class TcpBinding implements Binding, PortUse {
  readonly family: number;
  readonly host: string;
  readonly port: number;
  readonly bound: boolean;
  readonly options: TcpOptions;
  listener: TcpListener | null = null;
  readonly #ports: Ports<TcpBinding>;

  constructor(
    ports: Ports<TcpBinding>,
    family: number,
    host: string,
    port: number,
    bound: boolean,
    options: TcpOptions,
  ) {
    this.#ports = ports;
    this.family = family;
    this.host = host;
    this.port = port;
    this.bound = bound;
    this.options = options;
  }

  get address(): SocketAddress {
    return shownAddress(this.family, this.host, this.port);
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

  get listening(): boolean {
    return this.listener !== null;
  }

  release(): void {
    this.#ports.release(this);
  }
}

export class TcpStack implements StreamKernel, TcpHome<TcpConnection> {
  readonly timeline: Timeline;
  readonly #network: Network;
  readonly #random: Random;
  readonly #ports: Ports<TcpBinding>;
  /** The sockets that listen, by port. */
  readonly #listeners: Ports<TcpBinding>;
  /** The first connection of each pair of ports. */
  readonly #connections: Map<number, TcpConnection> = new Map();
  /** Chooses among sockets that share a port. */
  readonly #salt: number;

  constructor(network: Network, random: Random) {
    this.#network = network;
    this.timeline = network.host.timeline;
    this.#random = random;
    this.#salt = random.integer(TWO_TO_32);
    this.#ports = new Ports(random);
    this.#listeners = new Ports(random);
  }

  // --- bound and listening sockets ---

  bind(address: SocketAddress, { reuseAddress, reusePort, ipv6Only }: BindOptions): TcpBinding {
    const { host, port } = this.#network.local(address);
    const options = new TcpOptions(familyOf(address));
    options.reuseAddress = reuseAddress;
    options.reusePort = reusePort;
    options.ipv6Only = ipv6Only;
    const at = (chosen: number): TcpBinding =>
      new TcpBinding(this.#ports, options.family, host, chosen, true, options);
    const binding = at(
      port === 0 ? this.#ports.choose((candidate) => !this.#ports.conflicts(at(candidate))) : port,
    );
    if (binding.port === 0 || this.#ports.conflicts(binding))
      throw systemError('EADDRINUSE', 'bind', address);
    this.#ports.claim(binding);
    return binding;
  }

  listen(binding: Binding, backlog: number): TcpListener {
    const own = binding as TcpBinding;
    if (this.#ports.conflicts(own)) throw systemError('EADDRINUSE', 'listen', own.address);
    own.listener = new TcpListener(own, backlog, () => this.#closed(own));
    this.#listeners.claim(own);
    return own.listener;
  }

  #closed(binding: TcpBinding): void {
    binding.listener = null;
    this.#listeners.release(binding);
    binding.release();
  }

  // --- connections ---

  connect(
    address: SocketAddress,
    binding: Binding | null,
    onDone: (error: Error | null, channel: Channel | null) => void,
    options: KernelOptions | null = null,
  ): RawRequest {
    const own = binding as TcpBinding | null;
    const opened = this.#open(address, own, options as TcpOptions | null);
    if (typeof opened === 'string') {
      own?.release();
      const error = systemError(opened, 'connect', address);
      const event = this.#network.host.kernelAfter(0, () => onDone(error, null));
      return { cancel: () => event.cancel() };
    }
    opened.onOpened = (error) => onDone(error, error === null ? opened : null);
    opened.open();
    // As close() on a real host: a connection that the peer has accepted ends by FIN.
    return { cancel: () => opened.close() };
  }

  /** Returns a connection that has sent nothing, or the error that prevents it. */
  #open(
    address: SocketAddress,
    binding: TcpBinding | null,
    given: TcpOptions | null,
  ): TcpConnection | ErrorCode {
    const family = binding?.family ?? familyOf(address);
    if (familyOf(address) !== family) return 'EAFNOSUPPORT';
    const target = this.#network.target(parseAddress(address));
    const bound =
      binding === null || binding.host === '0.0.0.0' || binding.host === '::' ? null : binding.host;
    const local = bound ?? this.#network.sourceFor(target.host);
    if (local === null || this.#network.isGroup(target.host)) return 'ENETUNREACH';
    if (local.includes(':') !== target.host.includes(':')) return 'ENETUNREACH';
    if (this.#network.isLoopback(local) && !this.#network.isOwn(target.host)) return 'EINVAL';
    const isFree = (port: number): boolean => this.#find(local, port, target.host, target.port) === null;
    if (binding !== null && !isFree(binding.port)) return 'EADDRNOTAVAIL';
    const port = binding?.port ?? this.#ports.choose((one) => this.#ports.isUnbound(one) && isFree(one));
    if (port === 0) return 'EADDRNOTAVAIL';
    const options = given ?? binding?.options ?? new TcpOptions(family);
    binding?.release();
    return this.#add(endsOf(family, local, port, target.host, target.port), options, binding !== null);
  }

  #add(ends: TcpEnds, options: TcpOptions, bound: boolean): TcpConnection {
    options.mss = this.#network.segmentSize(ends.remote);
    const use = new TcpBinding(this.#ports, ends.family, ends.local, ends.localPort, bound, options);
    const connection = new TcpConnection(this, ends, use, this.#random.integer(TWO_TO_32), options);
    this.#ports.claim(use);
    const key = pairOf(ends.localPort, ends.remotePort);
    connection.nextOfPorts = this.#connections.get(key) ?? null;
    this.#connections.set(key, connection);
    return connection;
  }

  #find(local: string, localPort: number, remote: string, remotePort: number): TcpConnection | null {
    let connection = this.#connections.get(pairOf(localPort, remotePort)) ?? null;
    while (connection !== null && (connection.ends.remote !== remote || connection.ends.local !== local)) {
      connection = connection.nextOfPorts;
    }
    return connection;
  }

  forget(connection: TcpConnection): void {
    connection.use.release();
    const key = pairOf(connection.ends.localPort, connection.ends.remotePort);
    let before: TcpConnection | null = null;
    let next = this.#connections.get(key) ?? null;
    while (next !== null && next !== connection) {
      before = next;
      next = next.nextOfPorts;
    }
    if (next === null) return;
    if (before !== null) before.nextOfPorts = connection.nextOfPorts;
    else if (connection.nextOfPorts !== null) this.#connections.set(key, connection.nextOfPorts);
    else this.#connections.delete(key);
    connection.nextOfPorts = null;
  }

  // --- packets ---

  receive(segment: TcpSegment): void {
    const { source, sourcePort, destination, destinationPort } = segment;
    const connection = this.#find(destination, destinationPort, source, sourcePort);
    if (connection !== null) {
      if (connection.state !== 'TIME_WAIT' || (segment.flags & (SYN | ACK | RST)) !== SYN) {
        connection.receive(segment);
        return;
      }
      // The peer uses the same port again, and its timestamps would show that it is a new connection.
      connection.drop();
    }
    const listener = this.#listenerFor(segment);
    if (listener === null || (segment.flags & (ACK | RST)) !== 0) this.refuse(segment);
    else if ((segment.flags & SYN) !== 0 && !listener.full) this.#accept(listener, segment);
  }

  #accept(listener: TcpListener, syn: TcpSegment): void {
    const ends = endsOf(listener.family, syn.destination, syn.destinationPort, syn.source, syn.sourcePort);
    const connection = this.#add(ends, listener.options.inherit(), true);
    listener.opening(connection);
    connection.accept(syn, listener);
  }

  #listenerFor({ source, sourcePort, destination, destinationPort }: TcpSegment): TcpListener | null {
    let best: TcpListener | null = null;
    let bestFit = 0;
    let equals = 0;
    for (const binding of this.#listeners.at(destinationPort)) {
      const fits = fit(binding, destination);
      if (fits === 0 || fits < bestFit) continue;
      if (fits > bestFit) {
        bestFit = fits;
        equals = 0;
      }
      equals++;
      if (equals === 1 || flowHash(this.#salt, source, sourcePort, equals) === 0) best = binding.listener;
    }
    return best;
  }

  transmit(segment: TcpSegment): void {
    this.#network.transmit(segment);
  }

  refuse(segment: TcpSegment): void {
    if ((segment.flags & RST) === 0) this.#network.transmit(resetOf(segment));
  }

  unreachable({ about }: IcmpMessage, code: ErrorCode): void {
    const { source, sourcePort, destination, destinationPort } = about;
    this.#find(source, sourcePort, destination, destinationPort)?.unreachable(code);
  }

  // --- the whole ---

  get connections(): TcpConnection[] {
    const all: TcpConnection[] = [];
    for (const first of this.#connections.values()) {
      for (let one: TcpConnection | null = first; one !== null; one = one.nextOfPorts) all.push(one);
    }
    return all;
  }

  get listeners(): TcpListener[] {
    return [...this.#listeners].flatMap(({ listener }) => listener ?? []);
  }

  crash(): void {
    for (const listener of this.listeners) listener.onAcceptable = null;
    for (const connection of this.connections) connection.drop();
    this.#connections.clear();
    this.#ports.clear();
    this.#listeners.clear();
  }

  /** Closes all sockets: their process has ended. */
  closeAll(): void {
    for (const listener of this.listeners) listener.close();
    for (const connection of this.connections) connection.close();
  }
}

function endsOf(
  family: number,
  local: string,
  localPort: number,
  remote: string,
  remotePort: number,
): TcpEnds {
  const sockname = shownAddress(family, local, localPort);
  const peername = shownAddress(family, remote, remotePort);
  return { family, local, localPort, remote, remotePort, sockname, peername };
}

/** A small integer, which V8 can use without memory. */
function pairOf(localPort: number, remotePort: number): number {
  return (localPort << 16) | remotePort;
}
