/**
 * The bytes of a stream. Each sender has a key of its own, which it sends first and which determines all that
 * follows. So a receiver knows of each byte whether it is the right one, of the right sender.
 */
import { Chance } from '../../helpers/chance.ts';

/** A prime number, so that no buffer of anybody's has as many bytes. */
const PERIOD = 65_521;
/** Twice, so that a piece of any length up to one period begins anywhere. */
const BYTES = Buffer.alloc(2 * PERIOD);
const chance = new Chance(1);
for (let i = 0; i < PERIOD; i++) BYTES[i] = BYTES[i + PERIOD] = chance.of(256);

export const HEADER_BYTES = 4;

/** Where the stream of a key stands in the period, at an offset behind its header. */
export function phaseOf(key: number, offset: number): number {
  return (((key * 40_503) % PERIOD) + offset) % PERIOD;
}

/** A piece of the stream behind its header, in memory of its own. */
export function piece(key: number, offset: number, length: number): Buffer<ArrayBuffer> {
  const data = Buffer.from(new ArrayBuffer(length));
  for (let at = 0; at < length; ) {
    const from = phaseOf(key, offset + at);
    at += BYTES.copy(data, at, from, from + Math.min(PERIOD, length - at));
  }
  return data;
}

/** Enough of a file that a piece of any stream, up to `length`, is in it: at {@link phaseOf}. */
export function fileContent(length: number): Buffer {
  return piece(0, 0, PERIOD + length);
}

/** The stream that one participant sends. */
export class Outgoing {
  readonly key: number;
  /** Bytes, with the header. */
  sent: number = 0;

  constructor(key: number) {
    this.key = key;
  }

  /** The next bytes; the header with the first. */
  next(length: number): Buffer<ArrayBuffer> {
    const data = piece(this.key, Math.max(0, this.sent - HEADER_BYTES), length);
    this.sent += length;
    if (this.sent !== length) return data;
    const first = Buffer.from(new ArrayBuffer(HEADER_BYTES + length));
    first.writeUInt32LE(this.key);
    data.copy(first, HEADER_BYTES);
    this.sent += HEADER_BYTES;
    return first;
  }
}

/** The stream that one participant receives. */
export class Incoming {
  /** The sender's; null until the header has come. */
  key: number | null = null;
  /** Bytes, with the header. */
  received: number = 0;
  /** Describes the first wrong bytes. */
  fault: string | null = null;
  #header: Buffer = Buffer.alloc(0);

  take(data: Uint8Array): void {
    let rest = Buffer.from(data.buffer, data.byteOffset, data.length);
    this.received += rest.length;
    if (this.key === null) {
      this.#header = Buffer.concat([this.#header, rest]);
      if (this.#header.length < HEADER_BYTES) return;
      this.key = this.#header.readUInt32LE();
      rest = this.#header.subarray(HEADER_BYTES);
    }
    const offset = this.received - HEADER_BYTES - rest.length;
    for (let at = 0; at < rest.length; at += PERIOD) {
      const length = Math.min(PERIOD, rest.length - at);
      const from = phaseOf(this.key, offset + at);
      if (BYTES.compare(rest, at, at + length, from, from + length) === 0) continue;
      this.fault ??= `wrong bytes of ${this.key} in ${length} from byte ${offset + at} on`;
      return;
    }
  }
}
