/** Datagram sockets. Types only. */
import type { SocketAddress } from '../base/address.ts';
import type { RawRequest } from './request.ts';
import type { StreamInfo } from './streams.ts';

export interface Datagrams {
  /** Opens a datagram socket. */
  open(target: DatagramTarget, events: DatagramOpenEvents): RawRequest;
}

export interface DatagramTarget {
  /** `AF_INET` or `AF_INET6`. */
  family: number;
  /** null: a free port on every interface. */
  local: SocketAddress | null;
  /** The socket is connected to this address: it sends only to it, and receives only from it. */
  remote: SocketAddress | null;
  /**
   * A bound socket of the host, whose ownership the backend takes; then there are no addresses. The call
   * throws an UnusableError for any other value.
   */
  socket: unknown;
  reusePort: boolean;
  broadcast: boolean;
}

export interface DatagramOpenEvents {
  onOpen(socket: RawDatagram): void;
  onError(error: Error): void;
}

export interface Datagram {
  readonly data: Uint8Array;
  /** null: the socket's `remote`. */
  readonly address: SocketAddress | null;
}

/** A datagram socket. It receives nothing before `receiveStart()`. */
export interface RawDatagram {
  /** Sets the receiver of the events. Called once, before any other method. */
  open(events: DatagramEvents): void;
  receiveStart(): void;
  /**
   * Stops receiving. Datagrams in flight may still come; the transport holds them. The host queues those that
   * arrive from now on, as long as it has room; later ones are lost, as UDP permits.
   */
  receiveStop(): void;
  /**
   * Sends one datagram. Returns true if the kernel accepted it. Returns false if the backend keeps a copy; it
   * calls `onSent` when the copy was sent, and the caller must not send until then.
   *
   * @param address null: the socket's `remote`
   */
  send(data: Uint8Array, address: SocketAddress | null): boolean;
  /**
   * Copies a datagram into a batch, which `flush()` sends. Present if the host can send many at once. Returns
   * false if this datagram cannot be in the batch; the caller must flush the batch before it sends this
   * datagram.
   */
  gather?(data: Uint8Array, address: SocketAddress | null): boolean;
  /**
   * Sends the batch. Returns the datagrams for which the host has no room, in order; `send()` then waits
   * until there is room.
   */
  flush?(): Datagram[];
  /**
   * Closes the socket at once. It sends the batch, and drops datagrams that `send()` kept. Before `onClose`,
   * `onError` may still report earlier failures.
   */
  close(): void;
  info(): StreamInfo;
}

export interface DatagramEvents {
  /** The receiver owns the buffer. */
  onMessage(data: Buffer, address: SocketAddress): void;
  /** The datagram that `send()` kept was sent, or could not be sent. */
  onSent(error: Error | null): void;
  /** A datagram could not be sent, or the system learned that its receiver refused it. */
  onError(error: Error): void;
  /** The last call, exactly once. */
  onClose(error: Error | null): void;
}
