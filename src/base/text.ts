/**
 * Text as bytes, in memory of our own.
 *
 * Fact. `Buffer.from(text)` takes memory from a pool that all of the program shares. A stream of bytes
 * detaches the memory of what is enqueued, so a part of the program that enqueues its own small Buffer takes,
 * on Node 20 and 22, everybody else's Buffers with it.
 */
const POOL_BYTES = 8 * 1024;
/** Bytes that a UTF-16 code unit can become. */
const MOST_BYTES = 3;

let pool: Buffer = Buffer.allocUnsafeSlow(POOL_BYTES);
let used: number = 0;

/** Encodes text as UTF-8. Nobody else may get hold of the memory. */
export function encodeText(text: string): Buffer {
  const most = text.length * MOST_BYTES;
  if (most > POOL_BYTES / 2) {
    const whole = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
    whole.write(text);
    return whole;
  }
  if (most > POOL_BYTES - used) {
    pool = Buffer.allocUnsafeSlow(POOL_BYTES);
    used = 0;
  }
  const start = used;
  used += pool.write(text, start);
  return pool.subarray(start, used);
}
