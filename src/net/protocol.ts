/**
 * Protocols: what a transport calls. Plain objects, or subclasses of the empty base classes; every method is
 * optional.
 *
 * Order: `connectionMade` once; then data; then `eofReceived` at most once; then `connectionLost` exactly
 * once and last, with null after a clean end and the error otherwise. A protocol that throws is reported and
 * its transport aborted; the loop and other connections go on.
 */
import type { SocketAddress } from '../base/address.ts';
import type { DatagramTransport, SubprocessTransport, Transport } from './transport.ts';

export interface BaseProtocol {
  /** The connection is there; `transport` is what writes to it. */
  connectionMade?(transport: Transport): void;
  /** The end, for whatever reason: null after a clean one. */
  connectionLost?(exception: Error | null): void;
  /** The write buffer went above its high-water mark: write no more for now. */
  pauseWriting?(): void;
  /** It is at or below its low-water mark again. */
  resumeWriting?(): void;
}

export interface Protocol extends BaseProtocol {
  /** Some bytes came: any number, at any boundary. The receiver owns the buffer. */
  dataReceived?(data: Buffer): void;
  /** The peer will send no more. True keeps the transport open for writing; else it closes itself. */
  eofReceived?(): boolean | void;
}

/** A protocol that provides the memory for what is read. */
export interface BufferedProtocol extends BaseProtocol {
  /**
   * A buffer of at least one byte to be filled; `sizeHint` is how much there is, or -1 where nothing has come
   * yet. It is the transport's until `bufferUpdated` is called: the native backend asks ahead of time, and
   * reads straight into it.
   */
  getBuffer(sizeHint: number): Uint8Array;
  /** The last buffer was filled with this many bytes. */
  bufferUpdated(nbytes: number): void;
  eofReceived?(): boolean | void;
}

/** What a stream transport may be joined to. */
export type StreamProtocol = Protocol | BufferedProtocol;

/**
 * How each of its methods is called, by name. Each call has a place of its own: engines find the method there
 * faster than by its name.
 */
export const streamProtocolInvokers = {
  connectionMade: (protocol: StreamProtocol, transport: Transport): unknown =>
    protocol.connectionMade?.(transport),
  connectionLost: (protocol: StreamProtocol, exception: Error | null): unknown =>
    protocol.connectionLost?.(exception),
  pauseWriting: (protocol: StreamProtocol): unknown => protocol.pauseWriting?.(),
  resumeWriting: (protocol: StreamProtocol): unknown => protocol.resumeWriting?.(),
  dataReceived: (protocol: StreamProtocol, data: Buffer): unknown =>
    (protocol as Protocol).dataReceived?.(data),
  eofReceived: (protocol: StreamProtocol): unknown => protocol.eofReceived?.(),
  getBuffer: (protocol: StreamProtocol, hint: number): unknown => (protocol as Buffered).getBuffer?.(hint),
  bufferUpdated: (protocol: StreamProtocol, bytes: number): unknown =>
    (protocol as Buffered).bufferUpdated?.(bytes),
} as const;

type Buffered = Partial<BufferedProtocol>;

export const STREAM_PROTOCOL_METHODS: readonly string[] = Object.keys(streamProtocolInvokers);

/** What a datagram transport is joined to. */
export interface DatagramProtocol {
  /** The socket is open; `transport` is what sends by it. */
  connectionMade?(transport: DatagramTransport): void;
  /** A datagram came. The receiver owns the buffer. */
  datagramReceived?(data: Buffer, address: SocketAddress): void;
  /** A send or a receive failed (`ECONNREFUSED`: nobody listens there); the socket stays open. */
  errorReceived?(exception: Error): void;
  /** The kernel takes no more for now. */
  pauseWriting?(): void;
  /** It does again. */
  resumeWriting?(): void;
  /** The end: null after `close()` and `abort()`. */
  connectionLost?(exception: Error | null): void;
}

export const datagramProtocolInvokers = {
  connectionMade: (protocol: DatagramProtocol, transport: DatagramTransport): unknown =>
    protocol.connectionMade?.(transport),
  connectionLost: (protocol: DatagramProtocol, exception: Error | null): unknown =>
    protocol.connectionLost?.(exception),
  pauseWriting: (protocol: DatagramProtocol): unknown => protocol.pauseWriting?.(),
  resumeWriting: (protocol: DatagramProtocol): unknown => protocol.resumeWriting?.(),
  datagramReceived: (protocol: DatagramProtocol, data: Buffer, address: SocketAddress): unknown =>
    protocol.datagramReceived?.(data, address),
  errorReceived: (protocol: DatagramProtocol, exception: Error): unknown =>
    protocol.errorReceived?.(exception),
} as const;

export const DATAGRAM_PROTOCOL_METHODS: readonly string[] = Object.keys(datagramProtocolInvokers);

/** What a subprocess transport is joined to. */
export interface SubprocessProtocol {
  /** The process runs; `transport` is its. */
  connectionMade?(transport: SubprocessTransport): void;
  /** The process, or a child of its own, wrote to one of its descriptors: 1 is stdout, 2 stderr. */
  pipeDataReceived?(fd: number, data: Buffer): void;
  /**
   * One of its pipes was closed, by either side; with an error where what was written could not leave
   * (`EPIPE`).
   */
  pipeConnectionLost?(fd: number, exception: Error | null): void;
  /** The process has ended: see `transport.getReturncode()`. Data may still come. */
  processExited?(): void;
  /** It has ended, and so have all its pipes: null, or the error of a protocol that threw. Last. */
  connectionLost?(exception: Error | null): void;
  /** Its stdin takes no more for now. */
  pauseWriting?(): void;
  /** It does again. */
  resumeWriting?(): void;
}

export const subprocessProtocolInvokers = {
  connectionMade: (protocol: SubprocessProtocol, transport: SubprocessTransport): unknown =>
    protocol.connectionMade?.(transport),
  connectionLost: (protocol: SubprocessProtocol, exception: Error | null): unknown =>
    protocol.connectionLost?.(exception),
  pauseWriting: (protocol: SubprocessProtocol): unknown => protocol.pauseWriting?.(),
  resumeWriting: (protocol: SubprocessProtocol): unknown => protocol.resumeWriting?.(),
  pipeDataReceived: (protocol: SubprocessProtocol, fd: number, data: Buffer): unknown =>
    protocol.pipeDataReceived?.(fd, data),
  pipeConnectionLost: (protocol: SubprocessProtocol, fd: number, exception: Error | null): unknown =>
    protocol.pipeConnectionLost?.(fd, exception),
  processExited: (protocol: SubprocessProtocol): unknown => protocol.processExited?.(),
} as const;

export const SUBPROCESS_PROTOCOL_METHODS: readonly string[] = Object.keys(subprocessProtocolInvokers);

// The base classes bear the names of the interfaces: a plain object with some of the methods is as good a
// protocol as a subclass. In a subclass every method is there, so that `super.connectionMade(transport)`
// works.

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

/** An empty {@link BaseProtocol} to be extended. */
export const BaseProtocol: typeof EmptyBaseProtocol = EmptyBaseProtocol;

/**
 * An empty {@link Protocol} to be extended.
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

/** A {@link BufferedProtocol} to be extended; `getBuffer` and `bufferUpdated` are the subclass's. */
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

/** An empty {@link DatagramProtocol} to be extended. */
export const DatagramProtocol: typeof EmptyDatagramProtocol = EmptyDatagramProtocol;

/** An empty {@link SubprocessProtocol} to be extended. */
export const SubprocessProtocol: typeof EmptySubprocessProtocol = EmptySubprocessProtocol;
