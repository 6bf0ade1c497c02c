/**
 * Memory for data that is held for an unknown time.
 *
 * A piece of data keeps all of the memory alive that it is a part of: a read buffer of the native backend, or
 * a pool of small Buffers. So whoever holds data copies it where it is a small part. Data that is used at
 * once stays a view.
 */

/** Bytes. V8 keeps so little on its own heap, where it costs less than a Buffer's usual memory. */
const ON_HEAP_BYTES = 64;
/** Bytes. Longer data costs too much to copy. */
const LONGEST_COPY_BYTES = 16 * 1024;
/** Memory of up to so many times its length is left to the data. */
const MOST_TIMES = 4;

/** Whether the data would keep much more memory alive than it needs. */
export function isSmallPart(data: Uint8Array): boolean {
  const { length } = data;
  // Don't ask so short an array for its memory: V8 would move it off its heap first.
  return (
    length <= ON_HEAP_BYTES || (length <= LONGEST_COPY_BYTES && length * MOST_TIMES < data.buffer.byteLength)
  );
}

/** Returns the data, or a copy of it where it is a small part of larger memory. */
export function keepable<T extends Uint8Array>(data: T): T | Buffer {
  return isSmallPart(data) ? ownCopy(data) : data;
}

/** Copies the data into memory of its own. */
export function ownCopy(data: Uint8Array): Buffer {
  const copy = ownBuffer(data.length);
  copy.set(data);
  return copy;
}

/** Copies both, one behind the other, into memory of their own. */
export function ownJoin(first: Uint8Array, second: Uint8Array): Buffer {
  const whole = ownBuffer(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

/** Makes a Buffer that has its memory for itself. Its content is undefined. */
export function ownBuffer(length: number): Buffer {
  return length <= ON_HEAP_BYTES ? Buffer.alloc(length) : Buffer.allocUnsafeSlow(length);
}
