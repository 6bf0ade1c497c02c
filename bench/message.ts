/** The bytes that travel: letters and a newline, as in load/shared.c. */

const A = 'a'.charCodeAt(0);
const NEWLINE = '\n'.charCodeAt(0);

export function messageOf(size: number): Buffer {
  return Buffer.from(
    Array.from({ length: size }, (_, place) => (place === size - 1 ? NEWLINE : A + (place % 26))),
  );
}

/** Records of 50 bytes, each a message: about 64 KiB, so much as a read of the host brings. */
export const CHUNK_RECORDS = 1250;

export function chunkOfRecords(): Buffer {
  return Buffer.concat(Array.from({ length: CHUNK_RECORDS }, () => messageOf(50)));
}
