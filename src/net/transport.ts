/** Transports: what a protocol writes to. asyncio's classes. */
import type { SocketAddress } from '../base/address.ts';
import type { StreamProtocol } from './protocol.ts';
import type { TransportSocket } from './transport-socket.ts';

/** What `getExtraInfo` knows of a TCP connection. */
export interface ExtraInfo {
  /** Address of the other side. */
  peername: SocketAddress;
  /** Address of this side. */
  sockname: SocketAddress;
  socket: TransportSocket;
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

  /** Ends it once what is buffered has been written. Nothing more is read. `connectionLost(null)` comes later, never from here. */
  abstract close(): void;

  /** From now on `protocol` is called. */
  abstract setProtocol(protocol: StreamProtocol): void;
  /** What is called now. */
  abstract getProtocol(): StreamProtocol;
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
   * Sends `data`; never waits. The writes of one turn leave in one system call. A buffer must not be changed until it has
   * been flushed.
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
