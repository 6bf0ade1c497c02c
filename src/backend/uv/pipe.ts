/**
 * One direction of a pipe, FIFO, socket or terminal, by its descriptor, as a raw stream. native/src/pipe.c
 * decides which descriptors it takes, and which descriptor the handle gets.
 */

import type { Socket } from 'node:net';
import { InvalidStateError } from '../../base/errors.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawStream, StreamEvents, StreamInfo } from '../backend.ts';
import { isFileHandle, notAPipe, pipeInfo, takenAlready } from '../shared/pipe-value.ts';
import { isStdioTaken, LAST_STDIO, releaseStdio, takeStdio } from '../shared/stdio.ts';
import type { Id } from './addon.ts';
import { isDescriptor } from './descriptor.ts';
import { addon } from './dispatch.ts';
import { systemError } from './errors.ts';
import { UvStream } from './stream.ts';

type Direction = 'read' | 'write';

const EBADF = -9;
const EEXIST = -17;
const EINVAL = -22;
const ENOTSUP = -95;

/**
 * Opens a pipe. Returns null if the node backend must serve or reject it: streams of Node's own; devices that
 * the kernel cannot poll (`/dev/null`, `/dev/zero`), which need a thread; a standard stream of the process
 * that cannot be opened again.
 *
 * @param pipe the user's object, for `getExtraInfo('pipe')`
 * @param given the same, or the descriptor of a socket that gyre opened
 */
export function openPipe(pipe: unknown, given: unknown, direction: Direction): RawStream | null {
  if (isUnusedStdio(given, direction)) return openStdio(pipe, given.fd, direction);
  if (isDescriptor(given)) {
    if (given > LAST_STDIO) return open(pipe, given, direction, 'taken');
    return given === pipe ? openStdio(pipe, given, direction) : openLowSocket(pipe, given, direction);
  }
  if (typeof given !== 'object' || given === null || !isFileHandle(given)) return null;
  const opened = open(pipe, given.fd, direction, 'lent');
  // Close the FileHandle, because its finalizer would close its descriptor anyway. The stream has another
  // descriptor.
  if (opened !== null) given.close().catch(() => {});
  return opened;
}

function openStdio(pipe: unknown, fd: number, direction: Direction): UvPipe | null {
  if (isStdioTaken(fd, direction)) throw takenAlready(pipe);
  // The program has closed the standard stream, and a socket got its number.
  if (addon().usesDescriptor(fd)) throw ownedAlready(fd);
  return open(pipe, fd, direction, 'stdio');
}

/**
 * A socket that gyre opened got the number of a standard stream that the program has closed. The stream
 * continues with another number.
 */
function openLowSocket(pipe: unknown, fd: number, direction: Direction): UvPipe | null {
  const opened = open(pipe, fd, direction, 'lent');
  if (opened !== null) addon().closeFd(fd);
  return opened;
}

/**
 * Whether it is `process.stdin`, `stdout` or `stderr`, as a pipe or socket that was not read and has nothing
 * left to write. Then gyre opens its descriptor again, so that a child which shares the standard stream
 * cannot make gyre's stream block.
 */
function isUnusedStdio(given: unknown, direction: Direction): given is Socket & { fd: number } {
  if (
    !(given instanceof node.net.Socket) ||
    given.destroyed ||
    node.tty.isatty((given as { fd?: number }).fd ?? -1)
  )
    return false;
  if (direction === 'write') {
    return (
      (given === process.stdout || given === process.stderr) && given.writable && given.writableLength === 0
    );
  }
  const isUnread = !given.readableDidRead && given.readableLength === 0 && given.readableFlowing !== true;
  return given === process.stdin && isUnread && given.readableEncoding === null && !given.readableEnded;
}

/**
 * @param how `taken`: the handle owns the descriptor. In the other cases the handle gets a descriptor of its
 *   own: `lent`: the owner of the given one will close it; `stdio`: the process keeps it open for ever
 */
function open(
  pipe: unknown,
  fd: number,
  direction: Direction,
  how: 'taken' | 'lent' | 'stdio',
): UvPipe | null {
  const id = addon().pipeOpen(fd, direction === 'write', how === 'lent');
  if (id >= 0) return new UvPipe(id, pipe, direction, how === 'stdio' ? fd : null);
  switch (id) {
    case ENOTSUP:
      return null;
    case EBADF:
    case EINVAL:
      throw notAPipe(pipe, direction);
    case EEXIST:
      throw ownedAlready(fd);
    default:
      throw systemError(id, 'open');
  }
}

function ownedAlready(fd: number): InvalidStateError {
  return new InvalidStateError(`descriptor ${fd} belongs to a transport or server`);
}

class UvPipe extends UvStream {
  readonly #pipe: StreamInfo;
  readonly #direction: Direction;
  /** The standard stream that this pipe uses. No other pipe may use it meanwhile. */
  #stdio: number | null;
  #events: StreamEvents | null = null;

  constructor(id: Id, pipe: unknown, direction: Direction, stdio: number | null) {
    super(id, direction);
    this.#pipe = pipeInfo(direction, pipe);
    this.#direction = direction;
    this.#stdio = stdio;
    if (stdio !== null) takeStdio(stdio, direction);
  }

  override open(events: StreamEvents): void {
    this.#events = events;
    super.open(events);
  }

  override readStart(): void {
    if (addon().pipeStands(this.id)) super.readStart();
    else this.broken(EBADF, 'read');
  }

  override close(): void {
    super.close();
    this.#releaseStdio();
  }

  override abort(): void {
    super.abort();
    this.#releaseStdio();
  }

  override info(): StreamInfo {
    return this.#pipe;
  }

  /**
   * A pipe that can be read as well as written always has a reader, this process. The data in it is for
   * another reader.
   */
  protected override watchReader(): void {
    if (addon().pipeTells(this.id)) super.watchReader();
  }

  /** Reports the end, and stays open: if the transport still has data to write, the write fails. */
  protected override onUnread(): void {
    this.#events?.onEnd();
  }

  #releaseStdio(): void {
    if (this.#stdio === null) return;
    releaseStdio(this.#stdio, this.#direction);
    this.#stdio = null;
  }
}
