/**
 * The buffers of a BufferedProtocol. If the host can read straight into memory, the transport asks the
 * protocol for a buffer before data comes, and lends the buffer to the host. Other data is copied into
 * buffers, and the protocol is asked for them when the data is there.
 */
import type { RawStream } from '../../backend/backend.ts';
import { invalidArgType, outOfRange } from '../../base/validate.ts';

/** Asks the protocol for a buffer. Returns null if the protocol failed; its connection is then aborted. */
export type AskForBuffer = (sizeHint: number) => Uint8Array | null;

/** The size hint before data has come. */
const UNKNOWN_SIZE = -1;

/**
 * Remembers which reader has lent which memory to the host. A program may use one buffer for all of its
 * connections. Two of them would fill it in one poll phase, and the second would overwrite the data of the
 * first. So the next reader of the same memory takes the buffer back from the previous one.
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

  /** Lends a buffer to the host, unless the host has one already. */
  lend(): void {
    if (this.#raw.readInto === undefined || this.#lent !== null) return;
    const buffer = this.#own(UNKNOWN_SIZE);
    if (buffer === null) return;
    this.#lent = buffer;
    lenders.set(buffer.buffer, this);
    this.#raw.readInto(buffer);
  }

  /** Returns a buffer for `size` bytes that were read into other memory. Null: the protocol failed. */
  next(size: number): Uint8Array | null {
    const buffer = this.takeBack();
    // The lent buffer is empty if its ArrayBuffer was transferred meanwhile.
    return buffer !== null && buffer.length > 0 ? buffer : this.#own(size);
  }

  /** Takes the lent buffer back and returns it, or null. The host writes into it no more. */
  takeBack(): Uint8Array | null {
    const buffer = this.#lent;
    if (buffer === null) return null;
    this.#lent = null;
    lenders.delete(buffer.buffer);
    this.#raw.readInto?.(null);
    return buffer;
  }

  /** Returns the lent buffer, which the host has filled. */
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

/** Checks the result of `getBuffer()`. */
export function checkBuffer(buffer: unknown): Uint8Array {
  if (!(buffer instanceof Uint8Array)) throw invalidArgType('getBuffer()', buffer, 'a Uint8Array');
  if (buffer.length === 0) throw outOfRange('getBuffer().length', 0, 'at least 1');
  return buffer;
}
