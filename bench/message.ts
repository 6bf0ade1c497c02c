/** The bytes that travel: letters and a newline, as in load/shared.c. */

const A = 'a'.charCodeAt(0);
const NEWLINE = '\n'.charCodeAt(0);

export function messageOf(size: number): Buffer {
  return Buffer.from(
    Array.from({ length: size }, (_, place) => (place === size - 1 ? NEWLINE : A + (place % 26))),
  );
}
