import assert from 'node:assert/strict';

/**
 * Takes a buffer's memory from all that share it, in a way that nothing can refuse: as a stream of bytes does
 * with what it is given.
 */
export function giveAway(buffer: ArrayBufferLike): void {
  let controller: ReadableByteStreamController | undefined;
  new ReadableStream({
    type: 'bytes',
    start: (one) => {
      controller = one;
    },
  });
  controller?.enqueue(new Uint8Array(buffer as ArrayBuffer));
  assert.equal(buffer.byteLength, 0);
}
