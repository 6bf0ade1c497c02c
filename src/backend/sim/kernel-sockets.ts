/**
 * The kernel's side of sockets that are no byte streams: listening sockets, datagram sockets, and the parts
 * of the kernel that open them. Types only. channel.ts has the byte stream.
 *
 * As a channel, none of them calls back from within a method. Events come from the timeline.
 */
import type { SocketAddress } from '../../base/address.ts';
import type { RawRequest } from '../backend.ts';
import type { Channel, KernelOptions } from './channel.ts';

/** A listening socket. */
export interface Acceptor {
  readonly family: number;
  readonly sockname: SocketAddress;
  readonly options: KernelOptions;
  /** Called when a connection waits, after an `accept()` that has left none. */
  onAcceptable: (() => void) | null;
  /** Whether a connection waits. */
  readonly acceptable: boolean;
  /** Returns the next connection, or null if none waits. */
  accept(): Channel | null;
  /** Changes the number of connections that may wait. */
  setBacklog(backlog: number): void;
  /** Stops listening. Connections that wait are reset. */
  close(): void;
}

/** A local address that is reserved, before anything listens or connects. */
export interface Binding {
  readonly family: number;
  readonly address: SocketAddress;
  /** Frees the address. Not after it was passed to `listen()` or `connect()`, which take it over. */
  release(): void;
}

export interface BindOptions {
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  /** IPv6 only: does not accept IPv4 connections. */
  readonly ipv6Only: boolean;
}

/** TCP, or the unix sockets of a host, below the raw handles. */
export interface StreamKernel {
  /** Reserves a local address. Throws the system's error. */
  bind(address: SocketAddress, options: BindOptions): Binding;
  /** Listens on an address. Throws the system's error, and then the caller still owns the binding. */
  listen(binding: Binding, backlog: number): Acceptor;
  /**
   * Starts to connect. The handshake ends later, with one call of `onDone`.
   *
   * @param binding the local address, which the connection takes over; null: the kernel chooses one
   * @param options those that the program has set before; the connection takes them over
   */
  connect(
    address: SocketAddress,
    binding: Binding | null,
    onDone: (error: Error | null, channel: Channel | null) => void,
    options?: KernelOptions | null,
  ): RawRequest;
}

export interface DatagramSocketEvents {
  /** A datagram has arrived, after a `receive()` that has left none. */
  onReadable(): void;
  /** There is room again, after a `send()` that was not accepted. */
  onWritable(): void;
  /** A datagram was refused: `ECONNREFUSED` on a connected socket. */
  onError(error: Error): void;
}

export interface ReceivedDatagram {
  readonly data: Uint8Array;
  /** The sender. */
  readonly address: SocketAddress;
}

/** A datagram socket, bound or not. */
export interface DatagramSocket {
  readonly family: number;
  /** null before it is bound. */
  readonly sockname: SocketAddress | null;
  readonly peername: SocketAddress | null;
  events: DatagramSocketEvents | null;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly options: KernelOptions;
  bind(address: SocketAddress, options: BindOptions): void;
  connect(address: SocketAddress): void;
  receive(): ReceivedDatagram | null;
  /**
   * Returns false if there is no room. Throws the system's error. Binds the socket first, if it is not bound.
   *
   * @param address null: the connected peer
   */
  send(data: Uint8Array, address: SocketAddress | null): boolean;
  close(): void;
}

export interface DatagramKernel {
  /** @param family `AF_INET` or `AF_INET6` */
  open(family: number): DatagramSocket;
}
