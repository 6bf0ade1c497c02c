/**
 * Protocols: what a transport calls. Plain objects, or subclasses of the empty base classes; every method is optional.
 *
 * Order: `connectionMade` once; then data; then `eofReceived` at most once; then `connectionLost` exactly once and last, with null
 * after a clean end and the error otherwise. A protocol that throws is reported and its transport aborted; the loop and other
 * connections go on.
 */
import type { Transport } from './transport.ts';

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
  /** A buffer of at least one byte to be filled; `sizeHint` is how much there is, or -1. */
  getBuffer(sizeHint: number): Uint8Array;
  /** The last buffer was filled with this many bytes. */
  bufferUpdated(nbytes: number): void;
  eofReceived?(): boolean | void;
}

/** What a stream transport may be joined to. */
export type StreamProtocol = Protocol | BufferedProtocol;

// The base classes bear the names of the interfaces: a plain object with some of the methods is as good a protocol as a
// subclass. In a subclass every method is there, so that `super.connectionMade(transport)` works.

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
