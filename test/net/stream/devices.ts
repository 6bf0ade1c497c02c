/** The data of a device. */
import { closeSync, constants, openSync, readSync } from 'node:fs';

const LONGEST_MESSAGE = 8192;

/** Returns the number of bytes that can be read from the beginning without waiting. */
export function bytesOf(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(LONGEST_MESSAGE);
  try {
    for (let bytes = 0; ; ) {
      try {
        bytes += readSync(fd, buffer);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        return bytes;
      }
    }
  } finally {
    closeSync(fd);
  }
}
