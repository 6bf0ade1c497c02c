/** Transports: asyncio's classes through which a protocol writes and controls its connection. */
import type { SocketAddress } from '../base/address.ts';
import type { DatagramProtocol, StreamProtocol } from './protocol.ts';
import type { TransportSocket } from './transport-socket.ts';

/** The names that `getExtraInfo` may know, and the types of their values. */
export interface ExtraInfo {
  /** The remote address. */
  peername: SocketAddress;
  /** The local address. */
  sockname: SocketAddress;
  /** The socket; missing for a pipe that is no socket. */
  socket: TransportSocket;
  /**
   * Datagrams on the node backend: the host's own `dgram.Socket`, for multicast groups, TTL and buffer sizes,
   * which a `TransportSocket` does not offer. The transport alone receives its data and closes it.
   */
  rawSocket: import('node:dgram').Socket;
  /** Pipes: the object or descriptor that was passed to `connectReadPipe` or `connectWritePipe`. */
  pipe: unknown;
  /** Subprocesses: the host's own process object. */
  subprocess: unknown;
  /** TLS: the host's own session object. */
  sslObject: unknown;
  /** TLS: the options or the secure context from which the session was made. */
  sslContext: unknown;
  /** TLS: the certificate of the peer; null if the peer has sent none. */
  peercert: PeerCertificate | null;
  /** TLS: the cipher of the session. */
  cipher: CipherInfo;
  /** TLS: always null, because TLS data is never compressed. */
  compression: null;
}

/** The certificate of a TLS peer, as `tls.TLSSocket.getPeerCertificate()` returns it. */
export type PeerCertificate = import('node:tls').PeerCertificate;

/** The cipher of a TLS connection. */
export interface CipherInfo {
  /** OpenSSL's name of the cipher. */
  name: string;
  /** The IETF's name of the cipher. */
  standardName: string;
  /** The version of TLS: `TLSv1.2` or `TLSv1.3`. */
  version: string;
}

export interface WriteBufferLimits {
  /** Bytes: a buffer above this mark calls `pauseWriting()`. */
  high?: number;
  /** Bytes: a paused buffer at or below this mark calls `resumeWriting()`. */
  low?: number;
}

/** The base class of all transports. */
export abstract class BaseTransport {
  /** Returns a fact about the transport, or `fallback` (default: null) if the transport does not have it. */
  abstract getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  abstract getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  abstract getExtraInfo(name: string, fallback?: unknown): unknown;

  /** Returns whether the transport is closing or closed. */
  abstract isClosing(): boolean;

  /**
   * Closes the transport after the buffered data is written. Reading stops at once. The transport calls
   * `connectionLost(null)` later, never from within this call.
   */
  abstract close(): void;

  /** Replaces the protocol. The transport calls the new one from now on. */
  abstract setProtocol(protocol: object): void;
  /** Returns the protocol that the transport calls. */
  abstract getProtocol(): object;
}

export interface ReadTransport extends BaseTransport {
  /** Returns whether the transport delivers data to the protocol. */
  isReading(): boolean;
  /** Stops calling `dataReceived` until `resumeReading()`. Idempotent. */
  pauseReading(): void;
  /** Delivers data to the protocol again. Idempotent. */
  resumeReading(): void;
}

export interface WriteTransport extends BaseTransport {
  /**
   * Buffers `data` for sending; never waits. The writes of one turn leave in one system call. Do not change
   * the contents of a buffer before it has left.
   */
  write(data: string | Uint8Array): void;
  /** Buffers each chunk of `list` for sending, in order, as {@link write} does. */
  writelines(list: Iterable<string | Uint8Array>): void;
  /** Closes the writing side after the buffered data is written (half-close). Reading goes on. */
  writeEof(): void;
  /** Returns whether {@link writeEof} works. It does for TCP. */
  canWriteEof(): boolean;
  /** Closes the transport at once, and drops the buffered data. A TCP peer sees a reset. */
  abort(): void;
  /**
   * Sets the water marks. Default: high 64 KiB, low a quarter of high. With zero for both, each write that
   * the kernel does not take at once pauses the protocol.
   */
  setWriteBufferLimits(limits?: WriteBufferLimits): void;
  /** Returns the water marks, in bytes. */
  getWriteBufferLimits(): { low: number; high: number };
  /** Returns the number of bytes in the write buffer. */
  getWriteBufferSize(): number;
}

/** A byte stream in both directions. */
export abstract class Transport
  extends BaseTransport
  implements ReadTransport, WriteTransport, AsyncDisposable
{
  abstract override setProtocol(protocol: StreamProtocol): void;
  abstract override getProtocol(): StreamProtocol;
  abstract isReading(): boolean;
  abstract pauseReading(): void;
  abstract resumeReading(): void;
  abstract write(data: string | Uint8Array): void;
  abstract writelines(list: Iterable<string | Uint8Array>): void;
  abstract writeEof(): void;
  abstract canWriteEof(): boolean;
  abstract abort(): void;
  abstract setWriteBufferLimits(limits?: WriteBufferLimits): void;
  abstract getWriteBufferLimits(): { low: number; high: number };
  abstract getWriteBufferSize(): number;
  /** Closes the transport, and waits until `connectionLost` was called. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}

/** A datagram socket, from `createDatagramEndpoint`. */
export abstract class DatagramTransport extends BaseTransport implements AsyncDisposable {
  abstract override setProtocol(protocol: DatagramProtocol): void;
  abstract override getProtocol(): DatagramProtocol;
  /**
   * Sends one datagram, which may be empty; never waits. The transport buffers a datagram that the kernel
   * does not take at once. A buffered datagram counts for `pauseWriting()`, and its contents must not change
   * before it has left. A datagram that cannot be sent (too long, no route) is reported to `errorReceived()`.
   *
   * @param data a string is sent as UTF-8. The limit is 65,507 bytes over IPv4, and 65,527 over IPv6
   * @param address a literal address, never a name: a look-up would delay each datagram. Absent, or equal to
   *   `remoteAddr`, if the endpoint has one
   * @throws TypeError or RangeError if `address` is no valid address, belongs to the other family, or differs
   *   from `remoteAddr`
   */
  abstract sendto(data: string | Uint8Array, address?: SocketAddress | null): void;
  /** Closes the transport at once, and drops the buffered datagrams. */
  abstract abort(): void;
  /** Sets the water marks. Default: high 64 KiB, low a quarter of high. */
  abstract setWriteBufferLimits(limits?: WriteBufferLimits): void;
  /** Returns the water marks, in bytes. */
  abstract getWriteBufferLimits(): { low: number; high: number };
  /**
   * Returns the size of the buffered datagrams in bytes. Each datagram counts 8 bytes, its UDP header, more
   * than its data, so that empty datagrams count as well.
   */
  abstract getWriteBufferSize(): number;
  /** Closes the transport, and waits until `connectionLost` was called. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A child process, from `subprocessExec` or `subprocessShell`.
 *
 * `close()` kills the process if it still runs, drops the data that was buffered for its stdin, and closes
 * its pipes, even if a grandchild still uses them. `getExtraInfo('subprocess')` returns the host's own
 * process object, without the pipes.
 */
export abstract class SubprocessTransport extends BaseTransport implements AsyncDisposable {
  /** Returns the id of the process. */
  abstract getPid(): number;
  /**
   * Returns the exit code, the negative number of the signal that ended the process, or null while it runs.
   */
  abstract getReturncode(): number | null;
  /**
   * Returns the transport of a pipe to the process (0 for writing, 1 and 2 for reading), or null if the
   * descriptor is no such pipe.
   */
  abstract getPipeTransport(fd: number): Transport | null;
  /**
   * Sends a signal to the process, by name or number. Does nothing once the process has ended, because its id
   * may then belong to another process.
   *
   * @throws RangeError for an unknown signal; the system's error if it forbids the signal (`EPERM`)
   */
  abstract sendSignal(signal: string | number): void;
  /** Sends `SIGTERM`: asks the process to end. */
  abstract terminate(): void;
  /** Sends `SIGKILL`: ends the process. */
  abstract kill(): void;
  /** Closes the transport, and waits until the process is reaped and its pipes are closed. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}
