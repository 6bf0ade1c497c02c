/** Keeps the beginning of a line until its end comes: Bun's sockets have no line reader. */
import { Unsent } from './unsent.ts';

const NEWLINE = 10;
const NOTHING = Buffer.alloc(0);

export class LineBuffer extends Unsent {
  #rest: Buffer = NOTHING;

  /** The whole lines that are there once `data` has come. */
  take(data: Buffer): Buffer {
    const all = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    const end = all.lastIndexOf(NEWLINE) + 1;
    this.#rest = end === all.length ? NOTHING : Buffer.from(all.subarray(end));
    return all.subarray(0, end);
  }
}

/** Where the line ends that begins at `begin`. */
export function lineEnd(lines: Buffer, begin: number): number {
  return lines.indexOf(NEWLINE, begin) + 1;
}
