/**
 * The descriptors that a child inherits. They must be open, have the requested numbers, and stay unchanged
 * for others that share them.
 */

import { devNull, constants as osConstants } from 'node:os';
import { node } from '../../platform/node-modules.ts';
import type { SpawnTarget } from '../backend.ts';
import { flagsOf } from './pipe-descriptor.ts';
import { LAST_STDIO } from './stdio.ts';

const ACCESS_MASK = node.fs.constants.O_RDONLY | node.fs.constants.O_WRONLY | node.fs.constants.O_RDWR;

export class Inherited {
  /** Descriptors that were opened only for this spawn. */
  readonly #own: number[] = [];

  /**
   * Opens the null device for standard streams that the program has closed. Otherwise a pipe of the child, or
   * of libuv, would get such a number, and the child would inherit it. So the child has the null device
   * there, like every program that Node starts.
   */
  constructor() {
    for (let fd = 0; fd <= LAST_STDIO; fd++) if (!isOpen(fd)) this.#own.push(node.fs.openSync(devNull, 'r+'));
  }

  /**
   * Returns `fd` itself, or a blocking copy for the child if it is a non-blocking pipe or terminal. Programs
   * expect that their standard streams block, and the flag is shared. Only Linux can reopen such a
   * descriptor. A named FIFO is not reopened for reading, because the new reader would never see the end of
   * file if the last writer has already gone.
   */
  blocking(fd: number): number {
    const flags = flagsOf(fd);
    if (flags === null || (flags & node.fs.constants.O_NONBLOCK) === 0 || !isReopenable(fd, flags)) return fd;
    try {
      const mode = (flags & ACCESS_MASK) | node.fs.constants.O_NONBLOCK | node.fs.constants.O_NOCTTY;
      const copy = node.fs.openSync(`/proc/self/fd/${fd}`, mode);
      this.#own.push(copy);
      return copy;
    } catch {
      // A terminal of another user, or a FIFO without readers.
      return fd;
    }
  }

  close(): void {
    for (const fd of this.#own.splice(0)) node.fs.closeSync(fd);
  }
}

/**
 * Returns the error for a descriptor that a child must get and that is not open. Without this check, the
 * child would get the next file that is opened with this number.
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
    node.fs.fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

function isReopenable(fd: number, flags: number): boolean {
  const name = node.fs.readlinkSync(`/proc/self/fd/${fd}`);
  // Opening the master side of a pseudoterminal again would create another one.
  if (node.tty.isatty(fd)) return !name.endsWith('/ptmx');
  if (!node.fs.fstatSync(fd).isFIFO()) return false;
  return (flags & ACCESS_MASK) !== node.fs.constants.O_RDONLY || name.startsWith('pipe:');
}
