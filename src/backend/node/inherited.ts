/**
 * The descriptors that a child inherits: open, at the numbers that were meant, and without a change for
 * whoever shares them.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { devNull, constants as osConstants } from 'node:os';
import { isatty } from 'node:tty';
import type { SpawnTarget } from '../backend.ts';
import { flagsOf } from './pipe-descriptor.ts';
import { LAST_STDIO } from './stdio.ts';

const ACCESS_MASK = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR;

export class Inherited {
  /** Opened for this spawn alone. */
  readonly #own: number[] = [];

  /**
   * Fills the numbers of the standard streams that the program has closed: otherwise a pipe of the child, or
   * of libuv's own, would get such a number, and the child would inherit that. The child then has the null
   * device there, as every program that Node starts.
   */
  constructor() {
    for (let fd = 0; fd <= LAST_STDIO; fd++) if (!isOpen(fd)) this.#own.push(openSync(devNull, 'r+'));
  }

  /**
   * `fd` itself, or a copy for the child where its pipe or terminal does not block: programs expect their
   * standard streams to block, and the flag is shared. Only Linux can open such a descriptor anew. A FIFO
   * with a name is not opened for reading: if its last writer has gone, whoever opens it now never learns
   * that.
   */
  blocking(fd: number): number {
    const flags = flagsOf(fd);
    if (flags === null || (flags & constants.O_NONBLOCK) === 0 || !isReopenable(fd, flags)) return fd;
    try {
      const mode = (flags & ACCESS_MASK) | constants.O_NONBLOCK | constants.O_NOCTTY;
      const copy = openSync(`/proc/self/fd/${fd}`, mode);
      this.#own.push(copy);
      return copy;
    } catch {
      // A terminal of another user, a FIFO that nobody reads.
      return fd;
    }
  }

  close(): void {
    for (const fd of this.#own.splice(0)) closeSync(fd);
  }
}

/**
 * The error for a descriptor that a child shall get and that is not open; without it, whatever gets the
 * number next would go there.
 */
export function missingDescriptor({ program, stdio, passFds }: SpawnTarget): Error | null {
  const wanted = [...stdio.flatMap((kind) => (kind.kind === 'fd' ? [kind.fd] : [])), ...passFds];
  if (wanted.every(isOpen)) return null;
  const syscall = `spawn ${program}`;
  const errno = -osConstants.errno.EBADF;
  return Object.assign(new Error(`${syscall} EBADF`), { code: 'EBADF', errno, syscall, path: program });
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

function isReopenable(fd: number, flags: number): boolean {
  const name = readlinkSync(`/proc/self/fd/${fd}`);
  // The side of a pseudoterminal that made it would be another one.
  if (isatty(fd)) return !name.endsWith('/ptmx');
  if (!fstatSync(fd).isFIFO()) return false;
  return (flags & ACCESS_MASK) !== constants.O_RDONLY || name.startsWith('pipe:');
}
