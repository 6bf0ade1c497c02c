/** The separators of `readuntil()`, and the {@link Needle} for them. */
import { invalidArgType, outOfRange } from '../base/validate.ts';
import { Needle } from './read-buffer.ts';

/** One separator: a string (UTF-8) or bytes. */
export type Separator = string | Uint8Array;

export function bufferOf(data: string | Uint8Array): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

export function needleOf(separators: readonly unknown[]): Needle {
  if (separators.length === 0)
    throw outOfRange('separator', separators, 'an array of at least one separator');
  const parts = separators.map((part) => {
    if (typeof part !== 'string' && !(part instanceof Uint8Array)) {
      throw invalidArgType('separator', part, 'a string, a Uint8Array, or an array of them');
    }
    if (part.length === 0) throw outOfRange('separator', part, 'at least one byte long');
    return bufferOf(part);
  });
  return new Needle(parts);
}

/** @param known copies of the last separators */
export function areSame(separators: readonly unknown[], known: readonly Separator[]): boolean {
  if (separators.length !== known.length || known.length === 0) return false;
  for (let i = 0; i < known.length; i++) {
    const [one, other] = [separators[i], known[i]];
    if (one === other && typeof one === 'string') continue;
    if (!(one instanceof Uint8Array && other instanceof Buffer && other.equals(one))) return false;
  }
  return true;
}
