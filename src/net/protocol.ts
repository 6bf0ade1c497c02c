/**
 * Protocols: objects whose methods a transport calls. A protocol is a plain object, or an instance of a
 * subclass of one of the empty base classes below. Every method is optional, except those of
 * `BufferedProtocol`.
 *
 * Order of the calls: `connectionMade` once, then data, then `eofReceived` at most once, then
 * `connectionLost` exactly once and last. `connectionLost` gets null after a clean end, and otherwise the
 * error. If a method throws, the loop reports the exception and aborts the transport. The loop and other
 * connections continue.
 */
import type { SocketAddress } from '../base/address.ts';
import type { DatagramTransport, SubprocessTransport, Transport } from './transport.ts';

/** A function that makes a protocol, or a class of protocols, which is called with `new` and no arguments. */
export type ProtocolFactory<P> = (() => P) | (new () => P);

export interface BaseProtocol {
  /** Called once, when the connection is made. `transport` is the way to write to it. */
  connectionMade?(transport: Transport): void;
  /**
   * Called once and last, when the connection has ended: with null after a clean end, otherwise with the
   * error.
   */
  connectionLost?(exception: Error | null): void;
  /** Called when the write buffer has grown above the high-water mark. Stop writing until `resumeWriting`. */
  pauseWriting?(): void;
  /** Called when the write buffer has shrunk to the low-water mark or below. */
  resumeWriting?(): void;
}

export interface Protocol extends BaseProtocol {
  /** Called with received bytes: any number of them, split anywhere. The receiver owns the buffer. */
  dataReceived?(data: Buffer): void;
  /**
   * Called when the peer has closed its writing side. Return true to keep the transport open for writing.
   * Otherwise the transport closes itself.
   */
  eofReceived?(): boolean | void;
}

/** A protocol that provides the memory into which the transport reads. */
export interface BufferedProtocol extends BaseProtocol {
  /**
   * Returns a buffer of at least one byte for received data.
   *
   * The transport owns the buffer until it calls `bufferUpdated`.
   *
   * **Backends** The native backend calls this before data has come, and reads straight into the buffer.
   *
   * @param sizeHint the number of bytes that were received, or -1 when nothing has come yet
   */
  getBuffer(sizeHint: number): Uint8Array;
  /** Called when the transport has written `nbytes` bytes into the last buffer. */
  bufferUpdated(nbytes: number): void;
  eofReceived?(): boolean | void;
}

/** A protocol for a stream transport. */
export type StreamProtocol = Protocol | BufferedProtocol;

type BaseMethods = Pick<BaseProtocol, 'connectionLost' | 'pauseWriting' | 'resumeWriting'>;

/** The methods of every protocol, in the form of `streamProtocolInvokers`. */
export const baseProtocolInvokers = {
  connectionLost: (protocol: BaseMethods, exception: Error | null): unknown =>
    protocol.connectionLost?.(exception),
  pauseWriting: (protocol: BaseMethods): unknown => protocol.pauseWriting?.(),
  resumeWriting: (protocol: BaseMethods): unknown => protocol.resumeWriting?.(),
} as const;

function methodsOf(invokers: object): readonly string[] {
  return [...Object.keys(invokers), ...Object.keys(baseProtocolInvokers)];
}

/**
 * Calls each method of a stream protocol, by name. One function for each method: the engine then finds the
 * method faster than by a computed name.
 */
export const streamProtocolInvokers = {
  connectionMade: (protocol: StreamProtocol, transport: Transport): unknown =>
    protocol.connectionMade?.(transport),
  dataReceived: (protocol: StreamProtocol, data: Buffer): unknown =>
    (protocol as Protocol).dataReceived?.(data),
  eofReceived: (protocol: StreamProtocol): unknown => protocol.eofReceived?.(),
  getBuffer: (protocol: StreamProtocol, hint: number): unknown => (protocol as Buffered).getBuffer?.(hint),
  bufferUpdated: (protocol: StreamProtocol, bytes: number): unknown =>
    (protocol as Buffered).bufferUpdated?.(bytes),
} as const;

type Buffered = Partial<BufferedProtocol>;

export const STREAM_PROTOCOL_METHODS: readonly string[] = methodsOf(streamProtocolInvokers);

/** A protocol for a datagram transport. */
export interface DatagramProtocol {
  /** Called once, when the socket is open. `transport` is the way to send. */
  connectionMade?(transport: DatagramTransport): void;
  /** Called with each received datagram. The receiver owns the buffer. */
  datagramReceived?(data: Buffer, address: SocketAddress): void;
  /**
   * Called when a send or a receive has failed, for example with `ECONNREFUSED` when no socket is bound to
   * the remote port. The socket stays open.
   */
  errorReceived?(exception: Error): void;
  /**
   * Called when the buffer of unsent datagrams has grown above the high-water mark. Stop sending until
   * `resumeWriting`.
   */
  pauseWriting?(): void;
  /** Called when the buffer of unsent datagrams has shrunk to the low-water mark or below. */
  resumeWriting?(): void;
  /** Called once and last: with null after `close()` or `abort()`, otherwise with the error. */
  connectionLost?(exception: Error | null): void;
}

export const datagramProtocolInvokers = {
  connectionMade: (protocol: DatagramProtocol, transport: DatagramTransport): unknown =>
    protocol.connectionMade?.(transport),
  datagramReceived: (protocol: DatagramProtocol, data: Buffer, address: SocketAddress): unknown =>
    protocol.datagramReceived?.(data, address),
  errorReceived: (protocol: DatagramProtocol, exception: Error): unknown =>
    protocol.errorReceived?.(exception),
} as const;

export const DATAGRAM_PROTOCOL_METHODS: readonly string[] = methodsOf(datagramProtocolInvokers);

/** A protocol for a subprocess transport. */
export interface SubprocessProtocol {
  /** Called once, when the process has started. `transport` controls the process. */
  connectionMade?(transport: SubprocessTransport): void;
  /**
   * Called with data from one of the process's pipes: 1 is stdout, 2 is stderr. A child of the process may
   * have written the data.
   */
  pipeDataReceived?(fd: number, data: Buffer): void;
  /**
   * Called when one of the pipes was closed, by either side. `exception` is null, or the error of a write
   * that failed (`EPIPE`).
   */
  pipeConnectionLost?(fd: number, exception: Error | null): void;
  /** Called when the process has exited: see `transport.getReturncode()`. Data may still follow. */
  processExited?(): void;
  /**
   * Called once and last, when the process has exited and its pipes are closed: with null, or with the error
   * of a protocol that threw.
   */
  connectionLost?(exception: Error | null): void;
  /**
   * Called when the buffer of stdin has grown above the high-water mark. Stop writing until `resumeWriting`.
   */
  pauseWriting?(): void;
  /** Called when the buffer of stdin has shrunk to the low-water mark or below. */
  resumeWriting?(): void;
}

export const subprocessProtocolInvokers = {
  connectionMade: (protocol: SubprocessProtocol, transport: SubprocessTransport): unknown =>
    protocol.connectionMade?.(transport),
  pipeDataReceived: (protocol: SubprocessProtocol, fd: number, data: Buffer): unknown =>
    protocol.pipeDataReceived?.(fd, data),
  pipeConnectionLost: (protocol: SubprocessProtocol, fd: number, exception: Error | null): unknown =>
    protocol.pipeConnectionLost?.(fd, exception),
  processExited: (protocol: SubprocessProtocol): unknown => protocol.processExited?.(),
} as const;

export const SUBPROCESS_PROTOCOL_METHODS: readonly string[] = methodsOf(subprocessProtocolInvokers);

// The base classes have the names of the interfaces. A plain object with some of the methods is as good a
// protocol as a subclass. The base classes define every method, so that a subclass can call
// `super.connectionMade(transport)`.

class EmptyBaseProtocol {
  connectionMade(_transport: Transport): void {}
  connectionLost(_exception: Error | null): void {}
  pauseWriting(): void {}
  resumeWriting(): void {}
}

class EmptyProtocol extends EmptyBaseProtocol {
  dataReceived(_data: Buffer): void {}
  eofReceived(): boolean | void {}
}

abstract class EmptyBufferedProtocol extends EmptyBaseProtocol {
  abstract getBuffer(sizeHint: number): Uint8Array;
  abstract bufferUpdated(nbytes: number): void;
  eofReceived(): boolean | void {}
}

/** An empty {@link BaseProtocol}, to extend. */
export const BaseProtocol: typeof EmptyBaseProtocol = EmptyBaseProtocol;

/**
 * An empty {@link Protocol}, to extend.
 *
 * @example
 * ```ts
 * import { Protocol } from 'gyre';
 * import type { Transport } from 'gyre';
 *
 * class Echo extends Protocol {
 *   #transport!: Transport;
 *   override connectionMade(transport: Transport): void {
 *     this.#transport = transport;
 *   }
 *   override dataReceived(data: Buffer): void {
 *     this.#transport.write(data);
 *   }
 * }
 * console.log(new Echo() instanceof Protocol); // true
 * ```
 */
export const Protocol: typeof EmptyProtocol = EmptyProtocol;

/** A {@link BufferedProtocol}, to extend. The subclass must define `getBuffer` and `bufferUpdated`. */
export const BufferedProtocol: typeof EmptyBufferedProtocol = EmptyBufferedProtocol;

class EmptyDatagramProtocol {
  connectionMade(_transport: DatagramTransport): void {}
  connectionLost(_exception: Error | null): void {}
  pauseWriting(): void {}
  resumeWriting(): void {}
  datagramReceived(_data: Buffer, _address: SocketAddress): void {}
  errorReceived(_exception: Error): void {}
}

class EmptySubprocessProtocol {
  connectionMade(_transport: SubprocessTransport): void {}
  connectionLost(_exception: Error | null): void {}
  pauseWriting(): void {}
  resumeWriting(): void {}
  pipeDataReceived(_fd: number, _data: Buffer): void {}
  pipeConnectionLost(_fd: number, _exception: Error | null): void {}
  processExited(): void {}
}

/** An empty {@link DatagramProtocol}, to extend. */
export const DatagramProtocol: typeof EmptyDatagramProtocol = EmptyDatagramProtocol;

/** An empty {@link SubprocessProtocol}, to extend. */
export const SubprocessProtocol: typeof EmptySubprocessProtocol = EmptySubprocessProtocol;
