/**
 * The memory that a BufferedProtocol gives. Where the host can read straight into it, the transport asks for
 * a buffer ahead of time and lends it to the host; everything else that comes is copied into buffers that are
 * asked for then.
 */
import type { RawStream } from '../../backend/backend.ts';
import { invalidArgType, outOfRange } from '../../base/validate.ts';

/** Asks the protocol for a buffer; null: it has failed, and its connection is aborted. */
export type AskForBuffer = (sizeHint: number) => Uint8Array | null;

/** How much will come is not known. */
const UNKNOWN_SIZE = -1;

/**
 * Who has lent which memory. A program may have one buffer for all of its connections: two of them would fill
 * it in one poll phase, and the second would write over what the first has read. So whoever gets it next
 * takes it away from the one before.
 */
const lenders: WeakMap<ArrayBufferLike, BufferedReading> = new WeakMap();

export class BufferedReading {
  readonly #raw: RawStream;
  readonly #ask: AskForBuffer;
  #lent: Uint8Array | null = null;

  constructor(raw: RawStream, ask: AskForBuffer) {
    this.#raw = raw;
    this.#ask = ask;
  }

  /** Lends the host a buffer, unless it has one. */
  lend(): void {
    if (this.#raw.readInto === undefined || this.#lent !== null) return;
    const buffer = this.#own(UNKNOWN_SIZE);
    if (buffer === null) return;
    this.#lent = buffer;
    lenders.set(buffer.buffer, this);
    this.#raw.readInto(buffer);
  }

  /** A buffer for `size` bytes that were read elsewhere. */
  next(size: number): Uint8Array | null {
    const buffer = this.takeBack();
    // The protocol may have given its memory away to another thread in the meantime.
    return buffer !== null && buffer.length > 0 ? buffer : this.#own(size);
  }

  /** The buffer that was lent, if one was: from now on nobody writes into it. */
  takeBack(): Uint8Array | null {
    const buffer = this.#lent;
    if (buffer === null) return null;
    this.#lent = null;
    lenders.delete(buffer.buffer);
    this.#raw.readInto?.(null);
    return buffer;
  }

  /** The host has filled it. */
  filled(): Uint8Array | null {
    const buffer = this.#lent;
    if (buffer !== null) lenders.delete(buffer.buffer);
    this.#lent = null;
    return buffer;
  }

  #own(sizeHint: number): Uint8Array | null {
    const buffer = this.#ask(sizeHint);
    if (buffer !== null) lenders.get(buffer.buffer)?.takeBack();
    return buffer;
  }
}

/** What `getBuffer()` has answered. */
export function checkBuffer(buffer: unknown): Uint8Array {
  if (!(buffer instanceof Uint8Array)) throw invalidArgType('getBuffer()', buffer, 'a Uint8Array');
  if (buffer.length === 0) throw outOfRange('getBuffer().length', 0, 'at least 1');
  return buffer;
}
