/**
 * One direction of a pipe, FIFO, socket or terminal, by its descriptor, as a raw stream. native/src/pipe.c
 * decides which descriptor the handle gets, and what is none.
 */
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { InvalidStateError } from '../../base/errors.ts';
import type { RawStream, StreamEvents, StreamInfo } from '../backend.ts';
import { isFileHandle, notAPipe, takenAlready } from '../node/pipe.ts';
import { pipeInfo } from '../node/read-pipe.ts';
import { isStdioTaken, LAST_STDIO, releaseStdio, takeStdio } from '../node/stdio.ts';
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
 * Null where the node backend is to have it, or to say what is wrong with it: streams of Node's own; devices
 * that cannot be polled (`/dev/null`, `/dev/zero`), which are a thread's; a standard stream of the process
 * that cannot be opened anew, such as a socket.
 *
 * @param pipe what the user gave, for `getExtraInfo('pipe')`
 * @param given the same, or the descriptor of a socket of ours
 */
export function openPipe(pipe: unknown, given: unknown, direction: Direction): RawStream | null {
  if (isUnusedStdio(given, direction)) return openStdio(pipe, given.fd, direction);
  if (isDescriptor(given)) {
    if (given > LAST_STDIO) return open(pipe, given, direction, 'taken');
    return given === pipe ? openStdio(pipe, given, direction) : openLowSocket(pipe, given, direction);
  }
  if (typeof given !== 'object' || given === null || !isFileHandle(given)) return null;
  const opened = open(pipe, given.fd, direction, 'lent');
  // It would close its descriptor under us, at the latest when it is collected: we have another one.
  if (opened !== null) given.close().catch(() => {});
  return opened;
}

function openStdio(pipe: unknown, fd: number, direction: Direction): UvPipe | null {
  if (isStdioTaken(fd, direction)) throw takenAlready(pipe);
  // The program has closed the standard stream, and its number is that of a socket now.
  if (addon().usesDescriptor(fd)) throw ownedAlready(fd);
  return open(pipe, fd, direction, 'stdio');
}

/**
 * A socket of ours has got the number of a standard stream, which the program has closed: it goes on with
 * another number.
 */
function openLowSocket(pipe: unknown, fd: number, direction: Direction): UvPipe | null {
  const opened = open(pipe, fd, direction, 'lent');
  if (opened !== null) addon().closeFd(fd);
  return opened;
}

/**
 * Whether it is `process.stdin`, `stdout` or `stderr`, a pipe or a socket, which nobody has read, and which
 * has nothing left to write. Then its descriptor does as well, and a child that shares it cannot make it
 * block for us.
 */
function isUnusedStdio(given: unknown, direction: Direction): given is Socket & { fd: number } {
  if (!(given instanceof Socket) || given.destroyed || isatty((given as { fd?: number }).fd ?? -1))
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
 * @param how `taken`: the descriptor becomes the handle's. The others keep it open, and the handle gets one
 *   of its own: `lent` stays its owner's, who closes it; `stdio` is the process's for all its life
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
  /** The standard stream that it is of, which nobody else may take meanwhile. */
  #stdio: number | null;
  #told: StreamEvents | null = null;

  constructor(id: Id, pipe: unknown, direction: Direction, stdio: number | null) {
    super(id, direction);
    this.#pipe = pipeInfo(direction, pipe);
    this.#direction = direction;
    this.#stdio = stdio;
    if (stdio !== null) takeStdio(stdio, direction);
  }

  override open(events: StreamEvents): void {
    this.#told = events;
    super.open(events);
  }

  override readStart(): void {
    if (addon().pipeStands(this.id)) super.readStart();
    else this.broken(EBADF, 'read');
  }

  override close(): void {
    super.close();
    this.#letGo();
  }

  override abort(): void {
    super.abort();
    this.#letGo();
  }

  override info(): StreamInfo {
    return this.#pipe;
  }

  /**
   * What can be read as well as written has a reader for ever, ourselves, and what stands in it is for
   * somebody else.
   */
  protected override watchReader(): void {
    if (addon().pipeTells(this.id)) super.watchReader();
  }

  /** The transport may have something that nobody will read: then its writing fails. */
  protected override onUnread(): void {
    this.#told?.onEnd();
  }

  #letGo(): void {
    if (this.#stdio === null) return;
    releaseStdio(this.#stdio, this.#direction);
    this.#stdio = null;
  }
}
