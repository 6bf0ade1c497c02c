/**
 * Converts text to bytes in memory that only gyre uses.
 *
 * `Buffer.from(text)` takes memory from a pool that the whole program shares. A byte stream
 * (`ReadableStream`) detaches the memory of each chunk that is enqueued. So if another part of the program
 * enqueues a small Buffer, Node 20 and 22 detach the memory of every other Buffer in the pool, too.
 */

const POOL_BYTES = 8 * 1024;
/** The maximal number of UTF-8 bytes for a UTF-16 code unit. */
const MOST_BYTES = 3;

let pool: Buffer = Buffer.allocUnsafeSlow(POOL_BYTES);
let used: number = 0;

/** Encodes text as UTF-8. Don't pass the memory to code outside of gyre. */
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
