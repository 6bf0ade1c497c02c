import assert from 'node:assert/strict';

/** Detaches a buffer's memory in a way that nothing can refuse, as a byte stream does with its data. */
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
