/**
 * The chunks that Node keeps until the kernel accepts them.
 *
 * libuv sends from the address that a chunk had when it was written. If its owner transfers the memory,
 * another object may use that address, and the peer may receive any data.
 */
export class HeldChunks {
  #chunks: readonly Uint8Array[] = [];
  #bytes: number = 0;

  hold(chunks: readonly Uint8Array[]): void {
    this.#chunks = chunks;
    this.#bytes = totalOf(chunks);
  }

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  /** False if the memory of a chunk was transferred since. */
  get intact(): boolean {
    return totalOf(this.#chunks) === this.#bytes;
  }

  /** Releases the chunks. Returns true if they were intact. */
  release(): boolean {
    const { intact } = this;
    this.#chunks = [];
    this.#bytes = 0;
    return intact;
  }
}

function totalOf(chunks: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  return bytes;
}
