/** Node has no reader of records: this is the loop over the bytes that people write instead. */
import { measureCpu } from '../measure.ts';
import { CHUNK_RECORDS, chunkOfRecords } from '../message.ts';

const SEPARATORS = [0, '\n'.charCodeAt(0)];

class Records {
  #rest: Buffer = Buffer.alloc(0);
  #wake: (() => void) | null = null;

  feed(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#wake?.();
    this.#wake = null;
  }

  async read(): Promise<Buffer> {
    for (let at = 0; ; at++) {
      while (at === this.#rest.length) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (!SEPARATORS.includes(this.#rest[at] as number)) continue;
      const record = this.#rest.subarray(0, at + 1);
      this.#rest = this.#rest.subarray(at + 1);
      return record;
    }
  }
}

await measureCpu(async (operations) => {
  const records = new Records();
  const chunk = chunkOfRecords();
  let done = 0;
  while (done < operations) {
    records.feed(chunk);
    for (let i = 0; i < CHUNK_RECORDS; i++) {
      await records.read();
      done += 1;
    }
  }
  return done;
});
