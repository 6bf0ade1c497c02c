/** The values that can be opened as a pipe, and the facts of the stream over one. */
import type { promises } from 'node:fs';
import { AF_UNSPEC } from '../../base/constants.ts';
import { UnusableError } from '../../base/unusable.ts';
import type { StreamInfo } from '../backend.ts';

type Direction = 'read' | 'write';

const ACCEPTED: Readonly<Record<Direction, string>> = {
  read: 'a descriptor, a Readable or a FileHandle, open for reading, of a pipe, socket, terminal or character device',
  write:
    'a descriptor, a Writable or a FileHandle, open for writing, of a pipe, socket, terminal or character device',
};

export function notAPipe(pipe: unknown, direction: Direction): UnusableError {
  return new UnusableError(pipe, ACCEPTED[direction]);
}

export function takenAlready(pipe: unknown): UnusableError {
  return new UnusableError(pipe, 'a stream that no other transport uses');
}

/** Checks for members, because the class is not exported. */
export function isFileHandle(pipe: object): pipe is promises.FileHandle {
  return pipe.constructor?.name === 'FileHandle' && 'fd' in pipe && 'datasync' in pipe;
}

export function pipeInfo(direction: 'read' | 'write', pipe: unknown): StreamInfo {
  return {
    family: AF_UNSPEC,
    sockname: null,
    peername: null,
    handle: null,
    direction,
    // The write end of a pipe is ended by closing it.
    halfClose: direction === 'write',
    extra: { pipe },
  };
}
