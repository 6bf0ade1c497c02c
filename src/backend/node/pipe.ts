/**
 * One direction of a pipe, FIFO, socket, terminal or character device, from a descriptor, a stream of Node,
 * or a FileHandle.
 */

import type { promises, Stats } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { InvalidStateError } from '../../base/errors.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawStream } from '../backend.ts';
import { accessOf, openWatched } from '../shared/pipe-descriptor.ts';
import { isFileHandle, notAPipe, takenAlready } from '../shared/pipe-value.ts';
import { isStdioTaken, LAST_STDIO, releaseStdio, takeStdio } from '../shared/stdio.ts';
import { isDescriptorTaken, takeDescriptor } from './descriptor-owners.ts';
import { openDevice } from './device.ts';
import { ReadPipe } from './read-pipe.ts';
import { WritePipe } from './write-pipe.ts';

type Direction = 'read' | 'write';

/** Streams that a transport owns. A second transport would take its data. */
const owned: WeakSet<object> = new WeakSet();

export function openPipe(pipe: unknown, direction: Direction): RawStream {
  const stream = streamOf(pipe, direction);
  if (stream === null) throw notAPipe(pipe, direction);
  const staysOpen = isStdio(stream);
  // On a worker thread, the standard streams have no descriptor.
  const stdio = staysOpen ? ((stream as { fd?: number }).fd ?? null) : null;
  if (owned.has(stream) || (stdio !== null && isStdioTaken(stdio, direction))) throw takenAlready(pipe);
  const release = (): void => {
    owned.delete(stream);
    if (stdio !== null) releaseStdio(stdio, direction);
  };
  const raw =
    direction === 'read'
      ? new ReadPipe(stream as Readable, pipe, staysOpen, release)
      : new WritePipe(stream as Writable, pipe, staysOpen, release);
  owned.add(stream);
  if (stdio !== null) takeStdio(stdio, direction);
  return raw;
}

/** Returns null for a value that cannot be used in this direction. */
function streamOf(pipe: unknown, direction: Direction): Readable | Writable | null {
  if (typeof pipe === 'number') return fromDescriptor(pipe, direction);
  if (typeof pipe !== 'object' || pipe === null) return null;
  if (isFileHandle(pipe)) return fromFileHandle(pipe, direction);
  if (isFile(pipe)) return null;
  if (direction === 'read') return pipe instanceof node.stream.Readable && isOpenToRead(pipe) ? pipe : null;
  return pipe instanceof node.stream.Writable && isOpenToWrite(pipe) ? pipe : null;
}

/**
 * Returns true for a stream of bytes that was not destroyed. A stream that has reached its end is accepted,
 * and the end is reported.
 */
function isOpenToRead(stream: Readable): boolean {
  const { destroyed, readableEncoding, readableObjectMode, readable, readableEnded } = stream;
  return !destroyed && readableEncoding === null && !readableObjectMode && (readable || readableEnded);
}

function isOpenToWrite(stream: Writable): boolean {
  return stream.writable && !stream.writableObjectMode;
}

/** Returns true for a stream over a regular file or a directory. */
function isFile(stream: object): boolean {
  const { fd } = stream as { fd?: unknown };
  if (typeof fd === 'number') return kindOf(() => node.fs.fstatSync(fd)) === 'file';
  if (!(stream instanceof node.fs.ReadStream || stream instanceof node.fs.WriteStream)) return false;
  return kindOf(() => node.fs.statSync(stream.path)) === 'file';
}

/** `none`: the file does not exist. */
function kindOf(stat: () => Stats): 'pipe' | 'device' | 'file' | 'none' {
  try {
    const stats = stat();
    if (stats.isFIFO() || stats.isSocket()) return 'pipe';
    return stats.isCharacterDevice() ? 'device' : 'file';
  } catch {
    return 'none';
  }
}

function fromDescriptor(fd: number, direction: Direction): Readable | Writable | null {
  if (!Number.isInteger(fd) || fd < 0) return null;
  const kind = kindOf(() => node.fs.fstatSync(fd));
  if (kind === 'none' || kind === 'file') return null;
  const access = accessOf(fd);
  if (access !== null && access !== 'both' && access !== direction) return null;
  const stdio = stdioOf(fd, direction);
  if (stdio !== null) return stdio;
  // Don't use tty.WriteStream: it writes synchronously, so a stopped terminal would stop the process.
  if (node.tty.isatty(fd)) return new node.tty.ReadStream(fd);
  if (kind === 'device') return openDevice(fd, direction);
  if (isDescriptorTaken(fd)) throw new InvalidStateError(`descriptor ${fd} belongs to a transport or server`);
  try {
    const readable = { fd, readable: true, writable: false };
    const socket = direction === 'read' ? new node.net.Socket(readable) : openWatched(fd, access);
    takeDescriptor(fd, socket);
    return socket;
  } catch (error) {
    // For example, a datagram socket. Errors of the system are thrown to the caller.
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** Returns the process's own stream over one of its standard descriptors. There can be no second stream. */
function stdioOf(fd: number, direction: Direction): Readable | Writable | null {
  if (fd > LAST_STDIO) return null;
  const stream = direction === 'read' ? process.stdin : fd === 2 ? process.stderr : process.stdout;
  // On a worker thread, the standard streams are messages to the main thread and have no descriptor.
  return stream.fd === fd ? stream : null;
}

function isStdio(stream: object): boolean {
  return stream === process.stdin || stream === process.stdout || stream === process.stderr;
}

/**
 * Opens a file with a descriptor above 2. If the program has closed a standard stream, the next file would
 * get its number, and libuv never closes those numbers.
 */
function openAboveStdio(path: string, flags: number): number {
  const low: number[] = [];
  try {
    for (;;) {
      const fd = node.fs.openSync(path, flags);
      if (fd > LAST_STDIO) return fd;
      low.push(fd);
    }
  } finally {
    for (const fd of low) node.fs.closeSync(fd);
  }
}

/**
 * Opens the file of a FileHandle again, and closes the handle. A FileHandle closes its descriptor itself, at
 * the latest when it is garbage-collected, so the stream needs a descriptor of its own.
 */
function fromFileHandle(handle: promises.FileHandle, direction: Direction): Readable | Writable | null {
  const kind = kindOf(() => node.fs.fstatSync(handle.fd));
  if (kind === 'none' || kind === 'file') return null;
  const access = accessOf(handle.fd);
  if (access !== null && access !== 'both' && access !== direction) return null;
  const mode = direction === 'read' ? node.fs.constants.O_RDONLY : node.fs.constants.O_WRONLY;
  const fd = openAboveStdio(
    `/dev/fd/${handle.fd}`,
    mode | node.fs.constants.O_NONBLOCK | node.fs.constants.O_NOCTTY,
  );
  let stream: Readable | Writable | null = null;
  try {
    stream = fromDescriptor(fd, direction);
  } finally {
    if (stream === null) node.fs.closeSync(fd);
  }
  if (stream !== null) handle.close().catch(() => {});
  return stream;
}
