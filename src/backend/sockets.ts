/** Descriptors of the system: their owners, their readiness, and sockets without buffers. Types only. */
import type { SocketAddress } from '../base/address.ts';

export interface Descriptors {
  /** Returns true if a stream, a listener or a datagram socket of the backend uses the descriptor. */
  isUsed(fd: number): boolean;
}

export interface Polling {
  /**
   * Watches a file descriptor for readiness, level-triggered. Each descriptor has one watch. It watches
   * nothing until `want()` is called.
   *
   * @param onReady told what a reader and a writer would not have to wait for. A hang-up and an error set
   *   both flags, even if they were not wanted
   */
  poll(fd: number, onReady: (readable: boolean, writable: boolean) => void): RawPoll;
}

export interface Sockets {
  /**
   * Opens a socket, or takes ownership of one. If it throws the system's error, the caller still owns the
   * descriptor.
   */
  open(target: SocketTarget): RawSocket;
}

/** The options of a socket. The methods throw the system's error, and `EBADF` after the close. */
export interface SystemOptions {
  getOption(level: number, option: number): number;
  getOption(level: number, option: number, length: number): Buffer;
  setOption(level: number, option: number, value: number | Uint8Array): void;
}

export interface RawPoll {
  /**
   * Sets the events to report from now on. Throws the system's error: `EPERM` for a file, which is always
   * ready, and `EBADF` for a closed descriptor.
   */
  want(readable: boolean, writable: boolean): void;
  close(): void;
}

export interface SocketTarget {
  family: number;
  type: number;
  proto: number;
  /**
   * A socket whose ownership the backend takes; it keeps its own family, type and protocol. null: a new
   * socket.
   */
  fileno: number | null;
}

/**
 * A socket without buffers. Each call is one system call, and never waits. If the system call would have to
 * wait, the method returns null, and {@link Polling.poll} reports when to call it again. A failure throws the
 * system's error, and `EBADF` after `close()`.
 */
export interface RawSocket extends SystemOptions {
  /** -1 after `close()` and `detach()`. */
  readonly fd: number;
  readonly family: number;
  readonly type: number;
  readonly proto: number;
  bind(address: SocketAddress): void;
  listen(backlog: number): void;
  accept(): [RawSocket, SocketAddress | null] | null;
  /**
   * Starts to connect. Returns false if the connection is in progress; when the socket is writable, call it
   * again for the result.
   */
  connect(address: SocketAddress): boolean;
  recv(length: number): Buffer | null;
  recvInto(buffer: Uint8Array): number | null;
  /**
   * Receives data and the sender's address. The address is null for a connected stream, and for a unix socket
   * without a name.
   */
  recvFrom(length: number): [Buffer, SocketAddress | null] | null;
  recvFromInto(buffer: Uint8Array): [number, SocketAddress | null] | null;
  /** Sends the bytes from `offset` on. Returns the number of bytes sent. */
  send(data: Uint8Array, offset: number): number | null;
  sendTo(data: Uint8Array, address: SocketAddress): number | null;
  /** Sends a part of an open file. Returns the number of bytes sent, which is 0 at the end of the file. */
  sendFile(file: number, offset: number, count: number): number | null;
  shutdown(how: number): void;
  sockname(): SocketAddress | null;
  peername(): SocketAddress | null;
  /** Returns another descriptor of the same socket. */
  duplicate(): RawSocket;
  /** Returns the file descriptor, which the caller owns from then on. */
  detach(): number;
  close(): void;
}

/**
 * A socket whose descriptor a backend can take over without closing it. The backend detaches it after the
 * takeover.
 */
export interface DetachableSocket {
  fileno(): number;
  detach(): number;
}
