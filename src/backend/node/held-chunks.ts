/**
 * The chunks that Node holds until the kernel takes them.
 *
 * Fact. libuv sends from the address that a chunk had when it was written. When its owner transfers the
 * memory, that may by then be another's, or nobody's: the peer may have been sent anything.
 */
export class HeldChunks {
  #chunks: readonly Uint8Array[] = [];
  #bytes: number = 0;

  hold(chunks: readonly Uint8Array[]): void {
    this.#chunks = chunks;
    this.#bytes = totalOf(chunks);
  }

  /** False: the memory of one was given away since. */
  get intact(): boolean {
    return totalOf(this.#chunks) === this.#bytes;
  }

  /** Lets them go. Answers whether they were intact. */
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
