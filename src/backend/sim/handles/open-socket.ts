/**
 * A socket in the kernel of a simulated host, of any family and type: the object behind its descriptors.
 *
 *   new ─bind─▶ bound ─listen──▶ listening
 *    └───connect─┴─▶ connecting ──▶ connected          a datagram socket has no such states
 */
import type { SocketAddress } from '../../../base/address.ts';
import {
  AF_INET6,
  AF_UNIX,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SHUT_RD,
  SHUT_WR,
  SO_ERROR,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../../base/constants.ts';
import type { RawRequest } from '../../backend.ts';
import type { Channel, ChannelEvents, KernelOptions } from '../channel.ts';
import type { ErrorCode } from '../errors.ts';
import { ERRNO, systemError } from '../errors.ts';
import { TcpOptions } from '../inet/tcp-options.ts';
import type { Acceptor, Binding, BindOptions, DatagramSocket, StreamKernel } from '../kernel-sockets.ts';
import { LocalOptions } from '../local/local-options.ts';
import type { OpenObject, Readiness } from '../machine/descriptors.ts';

const NO_BYTES = new Uint8Array(0);

export class OpenSocket implements OpenObject, Readiness, ChannelEvents {
  readonly family: number;
  readonly type: number;
  readonly proto: number;
  readonly readiness: Readiness = this;
  channel: Channel | null = null;
  acceptor: Acceptor | null = null;
  datagrams: DatagramSocket | null = null;
  readonly #kernel: StreamKernel | null;
  /** The options before the socket is connected or listens, and those that were set until then. */
  #ownOptions: KernelOptions | null = null;
  readonly #set: [level: number, option: number, value: number | Uint8Array][] = [];
  #binding: Binding | null = null;
  /** A connect that is in progress. */
  #connecting: RawRequest | null = null;
  /** The connect has ended, and no call has reported it. */
  #outcome: { error: Error | null } | null = null;
  /** An error that the next call reports. */
  #pending: Error | null = null;
  /** The error of the channel was reported. */
  #errorTold: boolean = false;
  #readShut: boolean = false;
  readonly #watchers: Set<() => void> = new Set();
  /** The events of the raw handle that uses the same socket. */
  #others: ChannelEvents | null = null;

  /** @param kernel opens connections; null: the socket is connected, listening, or one of datagrams */
  constructor(family: number, type: number, proto: number, kernel: StreamKernel | null) {
    this.family = family;
    this.type = type;
    this.proto = proto;
    this.#kernel = kernel;
  }

  static ofChannel(channel: Channel, proto: number = 0): OpenSocket {
    const socket = new OpenSocket(channel.family, SOCK_STREAM, proto, null);
    socket.channel = channel;
    return socket;
  }

  static ofAcceptor(acceptor: Acceptor): OpenSocket {
    const socket = new OpenSocket(acceptor.family, SOCK_STREAM, 0, null);
    socket.acceptor = acceptor;
    return socket;
  }

  static ofDatagrams(datagrams: DatagramSocket, proto: number = 0): OpenSocket {
    const socket = new OpenSocket(datagrams.family, SOCK_DGRAM, proto, null);
    socket.datagrams = datagrams;
    // An error may come before a call waits for it.
    datagrams.events ??= socket;
    return socket;
  }

  // --- facts ---

  get sockname(): SocketAddress {
    const { channel, acceptor, datagrams } = this;
    const name = channel?.sockname ?? acceptor?.sockname ?? datagrams?.sockname ?? this.#binding?.address;
    return name ?? anyAddress(this.family);
  }

  get peername(): SocketAddress {
    const name = this.channel?.peername ?? this.datagrams?.peername ?? null;
    if (name === null) throw systemError('ENOTCONN', 'getpeername');
    return name;
  }

  // --- options ---

  getOption(level: number, option: number): number | Uint8Array {
    const value = this.#options.get(level, option);
    if (level !== SOL_SOCKET || option !== SO_ERROR) return value;
    const { code } = (this.takeError() ?? {}) as { code?: ErrorCode };
    return code === undefined ? value : -ERRNO[code];
  }

  setOption(level: number, option: number, value: number | Uint8Array): void {
    this.#options.set(level, option, value);
    if (this.#ownOptions !== null) this.#set.push([level, option, value]);
  }

  get #options(): KernelOptions {
    const given = (this.channel ?? this.acceptor ?? this.datagrams)?.options;
    if (given !== undefined) return given;
    this.#ownOptions ??= this.family === AF_UNIX ? new LocalOptions() : new TcpOptions(this.family);
    return this.#ownOptions;
  }

  /** Sets the options again that were set before the socket was connected or listened. */
  #passOptions(): void {
    this.#ownOptions = null;
    for (const [level, option, value] of this.#set.splice(0)) this.#options.set(level, option, value);
  }

  get #bindOptions(): BindOptions {
    const options = this.#options;
    const isSet = (level: number, option: number): boolean => options.get(level, option) !== 0;
    return {
      reuseAddress: isSet(SOL_SOCKET, SO_REUSEADDR),
      reusePort: isSet(SOL_SOCKET, SO_REUSEPORT),
      ipv6Only: this.family === AF_INET6 && isSet(IPPROTO_IPV6, IPV6_V6ONLY),
    };
  }

  /** Returns the error that the next call reports, and clears it. */
  takeError(): Error | null {
    const error = this.#pending ?? this.#outcome?.error ?? null;
    this.#pending = null;
    return error ?? this.#takeChannelError();
  }

  #takeChannelError(): Error | null {
    const error = this.channel?.error ?? null;
    if (error === null || this.#errorTold) return null;
    this.#errorTold = true;
    return error;
  }

  // --- addresses ---

  bind(address: SocketAddress): void {
    if (this.datagrams !== null) {
      this.datagrams.bind(address, this.#bindOptions);
      return;
    }
    if (this.#binding !== null || this.#kernel === null) throw systemError('EINVAL', 'bind', address);
    this.#binding = this.#kernel.bind(address, this.#bindOptions);
  }

  listen(backlog: number): void {
    if (this.acceptor !== null) {
      this.acceptor.setBacklog(backlog);
      return;
    }
    if (this.#kernel === null && this.datagrams !== null) throw systemError('EOPNOTSUPP', 'listen');
    const unbound = this.#binding === null;
    if (this.#kernel === null || this.channel !== null || (unbound && this.family === AF_UNIX)) {
      throw systemError('EINVAL', 'listen');
    }
    const binding = this.#binding ?? this.#kernel.bind(anyAddress(this.family), this.#bindOptions);
    this.#binding = null;
    this.acceptor = this.#kernel.listen(binding, backlog);
    this.acceptor.onAcceptable = this.#tell;
    this.#passOptions();
  }

  accept(): Channel | null {
    if (this.acceptor === null) throw systemError('EINVAL', 'accept');
    return this.acceptor.accept();
  }

  /** Returns false while the connection is in progress. */
  connect(address: SocketAddress): boolean {
    if (this.datagrams !== null) {
      this.datagrams.connect(address);
      return true;
    }
    if (this.#connecting !== null) return false;
    const outcome = this.#outcome;
    if (outcome !== null) {
      this.#outcome = null;
      if (outcome.error !== null) throw outcome.error;
      return true;
    }
    if (this.#kernel === null || this.channel !== null || this.acceptor !== null) {
      throw systemError('EISCONN', 'connect', address);
    }
    const binding = this.#binding;
    this.#binding = null;
    const onDone = (error: Error | null, channel: Channel | null): void => {
      this.#connecting = null;
      this.channel = channel;
      if (channel !== null) this.#passOptions();
      this.#outcome = { error };
      this.#tell();
    };
    // The window that SYN announces depends on them.
    this.#connecting = this.#kernel.connect(address, binding, onDone, this.#ownOptions);
    return false;
  }

  // --- data ---

  /** Returns null if the caller must wait, and no bytes at the end. Throws the system's error. */
  receive(length: number, syscall: string): { data: Uint8Array; address: SocketAddress | null } | null {
    if (this.datagrams !== null) {
      this.#throwPending(syscall);
      const datagram = this.datagrams.receive();
      return datagram === null ? null : { ...datagram, data: datagram.data.subarray(0, length) };
    }
    const { channel } = this;
    if (channel === null) {
      this.#throwPending(syscall);
      throw systemError('ENOTCONN', syscall);
    }
    const data = channel.read(length);
    if (data !== null) return { data, address: null };
    const error = this.#takeChannelError();
    if (error !== null) throw renamed(error, syscall);
    const isOver = channel.ended || channel.error !== null || this.#readShut;
    return isOver ? { data: NO_BYTES, address: null } : null;
  }

  /** Returns the number of bytes sent, or null if the caller must wait. Throws the system's error. */
  send(data: Uint8Array, address: SocketAddress | null, syscall: string): number | null {
    this.#throwPending(syscall);
    if (this.datagrams !== null) return this.#sendDatagram(data, address, syscall);
    const { channel } = this;
    if (channel === null) throw systemError(this.family === AF_UNIX ? 'ENOTCONN' : 'EPIPE', syscall);
    if (channel.error !== null) throw systemError('EPIPE', syscall);
    if (data.length === 0) return 0;
    try {
      const sent = channel.write(data);
      return sent === 0 ? null : sent;
    } catch (error) {
      throw renamed(error, syscall);
    }
  }

  shutdown(how: number): void {
    if (this.datagrams !== null && this.datagrams.peername !== null) return;
    const { channel } = this;
    if (channel === null) throw systemError('ENOTCONN', 'shutdown');
    if (how !== SHUT_WR) {
      this.#readShut = true;
      channel.shutdownRead();
    }
    if (how !== SHUT_RD) channel.shutdownWrite();
    this.#tell();
  }

  release(): void {
    this.#connecting?.cancel();
    this.#binding?.release();
    this.channel?.close();
    this.acceptor?.close();
    this.datagrams?.close();
  }

  // --- readiness ---

  get readable(): boolean {
    const { channel, acceptor, datagrams } = this;
    if (this.#pending !== null) return true;
    if (datagrams !== null) return datagrams.readable;
    if (acceptor !== null) return acceptor.acceptable;
    if (channel === null) return false;
    return channel.readable > 0 || channel.ended || channel.error !== null || this.#readShut;
  }

  get writable(): boolean {
    if (this.datagrams !== null) return this.datagrams.writable;
    if (this.channel === null) return this.#outcome !== null;
    return this.channel.writable || this.channel.error !== null;
  }

  /** A stream that is neither connected nor connecting counts as hung up, as on Linux. */
  get failed(): boolean {
    if (this.#pending !== null) return true;
    if (this.datagrams !== null || this.acceptor !== null) return false;
    if (this.channel !== null) return this.channel.error !== null;
    return this.#connecting === null;
  }

  watch(listener: () => void): RawRequest {
    this.#watchers.add(listener);
    this.listenAgain();
    return { cancel: () => this.#watchers.delete(listener) };
  }

  /** Another handle has set its own events. Those who watch a copy of the descriptor must still be told. */
  handleOpened(): void {
    if (this.#watchers.size > 0) this.listenAgain();
  }

  /** Asks for the next events, also if another handle has set its own meanwhile. */
  listenAgain(): void {
    const { channel, datagrams } = this;
    const source = channel ?? datagrams;
    if (source !== null && source.events !== this) {
      this.#others = source.events;
      source.events = this;
    }
    if (datagrams !== null && !datagrams.readable) datagrams.receive();
    if (this.acceptor !== null) {
      this.acceptor.onAcceptable = this.#tell;
      if (!this.acceptor.acceptable) this.acceptor.accept();
    }
  }

  onReadable(): void {
    this.#others?.onReadable();
    this.#tell();
  }

  onWritable(): void {
    this.#others?.onWritable();
    this.#tell();
  }

  onError(error: Error): void {
    if (this.datagrams !== null) this.#pending = error;
    this.#others?.onError(error);
    this.#tell();
  }

  // --- internal steps ---

  #tell = (): void => {
    for (const watcher of [...this.#watchers]) watcher();
  };

  #throwPending(syscall: string): void {
    const error = this.takeError();
    if (error !== null) throw renamed(error, syscall);
  }

  #sendDatagram(data: Uint8Array, address: SocketAddress | null, syscall: string): number | null {
    const datagrams = this.datagrams as DatagramSocket;
    if (address === null && datagrams.peername === null) throw systemError('EDESTADDRREQ', syscall);
    return datagrams.send(data, address) ? data.length : null;
  }
}

function anyAddress(family: number): SocketAddress {
  if (family === AF_UNIX) return '';
  return family === AF_INET6 ? ['::', 0, 0, 0] : ['0.0.0.0', 0];
}

/** Returns the same error for another system call. */
function renamed(error: unknown, syscall: string): unknown {
  const { code } = error as { code?: ErrorCode };
  return code === undefined ? error : systemError(code, syscall);
}
