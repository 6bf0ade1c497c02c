/**
 * The parent's ends of a child's pipes as raw streams. They are sockets of Node, each used in one direction.
 */

import type { Socket, SocketConstructorOpts } from 'node:net';
import { constants } from 'node:os';
import { AF_UNIX } from '../../base/constants.ts';
import { givenAway } from '../../base/given-away.ts';
import { hostNextTick } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawStream, StreamEvents, StreamInfo } from '../backend.ts';
import { keepNonBlocking, share, unshare } from '../shared/non-blocking.ts';
import { HeldChunks } from './held-chunks.ts';
import { ReadSide } from './read-side.ts';

const NOTHING = new Uint8Array(0);

/** An output pipe of the child, which the parent reads. */
export class ChildOutput extends ReadSide implements RawStream {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super(socket);
    this.#socket = socket;
    socket.unref?.();
    share(socket);
  }

  /** Never called, because the pipe is only read. */
  write(): boolean {
    return true;
  }

  /** Never called either. */
  shutdown(): void {}

  close(): void {
    this.#socket.destroy();
    this.endedByUs();
  }

  abort(): void {
    this.close();
  }

  info(): StreamInfo {
    return infoOf('read', this.#socket);
  }
}

/** The input pipe of the child, which the parent writes. */
export class ChildInput implements RawStream {
  readonly #socket: Socket;
  readonly #watched: boolean;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  #close: 'none' | 'held' | 'told' = 'none';
  /**
   * The kernel refused some data, which was not sent yet. Node's own count is already 0 when it reports an
   * error.
   */
  #inFlight: boolean = false;
  readonly #held: HeldChunks = new HeldChunks();

  constructor(half: Socket) {
    const whole = makeReadable(half);
    this.#watched = whole !== null;
    this.#socket = whole ?? half;
    this.#socket.unref?.();
    share(this.#socket);
    this.#socket.on('error', this.#onError);
    this.#socket.on('end', this.#readerGone);
    this.#socket.on('close', this.#onClose);
    // Data that the child writes to its stdin is dropped. The stream is read to see its end.
    if (whole !== null) whole.resume();
  }

  open(events: StreamEvents): void {
    this.#events = events;
    if (this.#close === 'held') hostNextTick(this.#tell);
  }

  /** Never called, because the pipe is only written. */
  readStart(): void {}

  readStop(): void {}

  write(chunks: Uint8Array[]): boolean {
    const socket = this.#socket;
    keepNonBlocking(socket);
    socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    socket.uncork();
    if (socket.writableLength === 0) return true;
    this.#inFlight = true;
    this.#held.hold(chunks);
    // This callback comes after the data that the kernel refused, as in NodeStream.
    socket.write(NOTHING, this.#onWritten);
    return false;
  }

  shutdown(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  abort(): void {
    this.#socket.destroy();
  }

  info(): StreamInfo {
    return infoOf('write', this.#socket);
  }

  /**
   * Called when the child has exited. If the host cannot tell whether a grandchild still reads, the reader
   * counts as gone.
   */
  childEnded(): void {
    if (!this.#watched) this.#readerGone();
  }

  #readerGone = (): void => {
    if (this.#inFlight) this.#error ??= brokenPipe();
    this.#socket.destroy();
  };

  #onWritten = (error?: Error | null): void => {
    if (error !== undefined && error !== null) return;
    this.#inFlight = false;
    if (this.#held.release()) this.#events?.onWritten();
    else this.#socket.destroy(givenAway());
  };

  #onError = (error: NodeJS.ErrnoException): void => {
    // The system reports unread data of the child this way. All data was sent, so it is not an error.
    if (error.syscall === 'read' && error.code === 'ECONNRESET' && !this.#inFlight) return;
    this.#error ??= error;
  };

  #onClose = (): void => {
    unshare(this.#socket);
    this.#close = 'held';
    if (this.#events !== null) this.#tell();
  };

  #tell = (): void => {
    this.#close = 'told';
    (this.#events as StreamEvents).onClose(this.#error);
  };
}

/**
 * Returns a socket that is read and written in place of `half`, or null if that is impossible.
 *
 * Node makes a child's stdin a socket that is never read. But only reading shows, before the next write
 * fails, that the other end was closed. So a second socket takes the handle, which is not a public property.
 */
function makeReadable(half: Socket): Socket | null {
  // Deno has the handle, but closes its descriptor together with the first socket, which would lose written
  // data.
  if (process.versions.deno !== undefined) return null;
  const owner = half as unknown as { _handle: unknown };
  const handle = owner._handle;
  if (handle === null || handle === undefined) return null;
  owner._handle = null;
  return new node.net.Socket({ handle, allowHalfOpen: true } as SocketConstructorOpts);
}

function brokenPipe(): Error {
  return Object.assign(new Error('write EPIPE'), {
    code: 'EPIPE',
    errno: -constants.errno.EPIPE,
    syscall: 'write',
  });
}

function infoOf(direction: 'read' | 'write', socket: Socket): StreamInfo {
  return {
    family: AF_UNIX,
    sockname: null,
    peername: null,
    handle: null,
    direction,
    halfClose: direction === 'write',
    extra: { pipe: socket },
  };
}
