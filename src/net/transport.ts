/** Transports: what a protocol writes to. asyncio's classes. */
import type { SocketAddress } from '../base/address.ts';
import type { DatagramProtocol, StreamProtocol } from './protocol.ts';
import type { TransportSocket } from './transport-socket.ts';

/** What `getExtraInfo` may know of a transport. */
export interface ExtraInfo {
  /** Address of the other side. */
  peername: SocketAddress;
  /** Address of this side. */
  sockname: SocketAddress;
  /** Not of a pipe that is no socket. */
  socket: TransportSocket;
  /**
   * Of datagrams on the node backend: the host's own `dgram.Socket`, for what a `TransportSocket` has not:
   * multicast groups, TTL, buffer sizes. Its data and its end are the transport's.
   */
  rawSocket: import('node:dgram').Socket;
  /** Of a pipe: what was given to `connectReadPipe` or `connectWritePipe`. */
  pipe: unknown;
  /** Of a subprocess: the host's own process object. */
  subprocess: unknown;
  /** Of TLS: the host's own session object. */
  sslObject: unknown;
  /** Of TLS: the options or the secure context that it was made with. */
  sslContext: unknown;
  /** Of TLS: the certificate of the peer; null where it has shown none. */
  peercert: PeerCertificate | null;
  /** Of TLS: what it is encrypted with. */
  cipher: CipherInfo;
  /** Of TLS: null, because nothing is ever compressed. */
  compression: null;
}

/** The certificate of a TLS peer, as `tls.TLSSocket.getPeerCertificate()` gives it. */
export type PeerCertificate = import('node:tls').PeerCertificate;

/** What a TLS connection is encrypted with. */
export interface CipherInfo {
  /** OpenSSL's name. */
  name: string;
  /** The IETF's name. */
  standardName: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  version: string;
}

export interface WriteBufferLimits {
  /** Bytes above which `pauseWriting()` is called. */
  high?: number;
  /** Bytes at or below which `resumeWriting()` is called. */
  low?: number;
}

/** What all transports have. */
export abstract class BaseTransport {
  /** A fact about the connection, or `fallback` (default null) where it has none. */
  abstract getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  abstract getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  abstract getExtraInfo(name: string, fallback?: unknown): unknown;

  /** Whether it is closing or closed. */
  abstract isClosing(): boolean;

  /**
   * Ends it once what is buffered has been written. Nothing more is read. `connectionLost(null)` comes later,
   * never from here.
   */
  abstract close(): void;

  /** From now on `protocol` is called. */
  abstract setProtocol(protocol: object): void;
  /** What is called now. */
  abstract getProtocol(): object;
}

export interface ReadTransport extends BaseTransport {
  /** Whether data is being delivered. */
  isReading(): boolean;
  /** No more `dataReceived` until `resumeReading()`. Idempotent. */
  pauseReading(): void;
  /** Data is delivered again. Idempotent. */
  resumeReading(): void;
}

export interface WriteTransport extends BaseTransport {
  /**
   * Sends `data`; never waits. The writes of one turn leave in one system call. A buffer must not be changed
   * until it has been flushed.
   */
  write(data: string | Uint8Array): void;
  /** As {@link write} with all of them, one after the other. */
  writelines(list: Iterable<string | Uint8Array>): void;
  /** Says that nothing more will be written, once what is buffered has been. Reading goes on. */
  writeEof(): void;
  /** Whether {@link writeEof} works: for TCP it does. */
  canWriteEof(): boolean;
  /** Ends it at once and drops what is buffered; the peer sees a reset. */
  abort(): void;
  /** Default: 64 KiB and a quarter of it. Zero for both: every write pauses until it is flushed. */
  setWriteBufferLimits(limits?: WriteBufferLimits): void;
  /** Bytes: the marks that are in force. */
  getWriteBufferLimits(): { low: number; high: number };
  /** Bytes that were written and have not left yet. */
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
  /** Closes it and waits until it is lost. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}

/** Datagrams: what `createDatagramEndpoint` answers. */
export abstract class DatagramTransport extends BaseTransport implements AsyncDisposable {
  abstract override setProtocol(protocol: DatagramProtocol): void;
  abstract override getProtocol(): DatagramProtocol;
  /**
   * Sends one datagram, which may be empty; at once, and never waits. What the kernel does not take is kept,
   * and counts for `pauseWriting()`; its buffer must not be changed until it has left. What cannot be sent
   * (too long, no way to get there) is told to `errorReceived()`.
   *
   * @param data a string is sent as UTF-8. At most 65,507 bytes over IPv4, 65,527 over IPv6
   * @param address a literal address, never a name: looking it up would take a wait for each datagram. Absent
   *   where the endpoint has a `remoteAddr`, or equal to it
   * @throws TypeError, RangeError for an address that cannot be one, is of the other family, or is not the
   *   endpoint's own
   */
  abstract sendto(data: string | Uint8Array, address?: SocketAddress | null): void;
  /** Ends it at once and drops what is buffered. */
  abstract abort(): void;
  /** Default: 64 KiB and a quarter of it. */
  abstract setWriteBufferLimits(limits?: WriteBufferLimits): void;
  /** Bytes: the marks that are in force. */
  abstract getWriteBufferLimits(): { low: number; high: number };
  /**
   * Bytes that the kernel has not taken yet. Each datagram counts with the 8 bytes of its header, so that
   * empty ones count, too.
   */
  abstract getWriteBufferSize(): number;
  /** Closes it and waits until it is lost. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A child process: what `subprocessExec` and `subprocessShell` answer.
 *
 * `close()` kills it if it still runs, drops what was written to its stdin, and closes its pipes, also those
 * that a grandchild has. `getExtraInfo('subprocess')` is the host's own object; its pipes are not to be found
 * there.
 */
export abstract class SubprocessTransport extends BaseTransport implements AsyncDisposable {
  /** The id of the process. */
  abstract getPid(): number;
  /** What it returned; the negative number of the signal that ended it; null while it runs. */
  abstract getReturncode(): number | null;
  /** The transport of a descriptor that is a pipe of ours (0: write, 1 and 2: read); else null. */
  abstract getPipeTransport(fd: number): Transport | null;
  /**
   * Sends it a signal, by name or number. Does nothing once it has ended: its id may be another's by then.
   *
   * @throws RangeError for what is no signal; the system's error where it forbids that (`EPERM`)
   */
  abstract sendSignal(signal: string | number): void;
  /** Asks it to end: `SIGTERM`. */
  abstract terminate(): void;
  /** Ends it: `SIGKILL`. */
  abstract kill(): void;
  /** Closes it, and waits until it was reaped and its pipes are closed. */
  abstract [Symbol.asyncDispose](): Promise<void>;
}
