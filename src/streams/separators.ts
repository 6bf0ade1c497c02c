/** The separators of `readuntil()`, and the needle that is made of them. */
import { invalidArgType, outOfRange } from '../base/validate.ts';
import { Needle } from './read-buffer.ts';

/** One or several: a string is UTF-8. */
export type Separator = string | Uint8Array;

export function bufferOf(data: string | Uint8Array): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

export function needleOf(separators: readonly unknown[]): Needle {
  if (separators.length === 0) throw outOfRange('separator', separators, 'one separator at least');
  const parts = separators.map((part) => {
    if (typeof part !== 'string' && !(part instanceof Uint8Array)) {
      throw invalidArgType('separator', part, 'a string, a Uint8Array or an array of such');
    }
    if (part.length === 0) throw outOfRange('separator', part, 'one byte at least');
    return bufferOf(part);
  });
  return new Needle(parts);
}

/** @param known strings, and bytes that nobody has changed since */
export function areSame(separators: readonly unknown[], known: readonly Separator[]): boolean {
  if (separators.length !== known.length || known.length === 0) return false;
  for (let i = 0; i < known.length; i++) {
    const [one, other] = [separators[i], known[i]];
    if (one === other && typeof one === 'string') continue;
    if (!(one instanceof Uint8Array && other instanceof Buffer && other.equals(one))) return false;
  }
  return true;
}
