/** Our ends of a child's pipes as raw streams: sockets of Node's, each used in one direction. */

import type { SocketConstructorOpts } from 'node:net';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { AF_UNIX } from '../../base/constants.ts';
import { givenAway } from '../../base/given-away.ts';
import { hostNextTick } from '../../base/host.ts';
import type { RawStream, StreamEvents, StreamInfo } from '../backend.ts';
import { HeldChunks } from './held-chunks.ts';
import { keepNonBlocking, share, unshare } from './non-blocking.ts';
import { ReadSide } from './read-side.ts';

const NOTHING = new Uint8Array(0);

/** What the child writes. */
export class ChildOutput extends ReadSide implements RawStream {
  /** It is closed, and whoever had it open was told. */
  closed: boolean = false;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super(socket);
    this.#socket = socket;
    socket.unref?.();
    share(socket);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Never called: it goes the other way. */
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

/** What the child reads. */
export class ChildInput implements RawStream {
  readonly #socket: Socket;
  readonly #watched: boolean;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  #close: 'none' | 'held' | 'told' = 'none';
  /**
   * Something was refused, and has not left. Node's own count is down to 0 by the time that it tells of an
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
    // What the child would write there goes nowhere: it is read for its end.
    if (whole !== null) whole.resume();
  }

  open(events: StreamEvents): void {
    this.#events = events;
    if (this.#close === 'held') hostNextTick(this.#tell);
  }

  /** Never called: it goes the other way. */
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
    // Behind what the kernel refused, as in NodeStream.
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

  /** It is closed, and whoever had it open was told. */
  get closed(): boolean {
    return this.#close !== 'none';
  }

  info(): StreamInfo {
    return infoOf('write', this.#socket);
  }

  /** The child has ended. Where we cannot see whether a grandchild still reads, nobody does. */
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
    // So the system says that the child has left something unread. What we had to do was done.
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
 * Facts. Node makes a child's stdin a socket that is never read. But reading is how one learns, before the
 * next write fails, that nobody has the other end any more.
 *
 * What this means. A second socket takes the handle over. The handle is no public property: null where there
 * is none.
 */
function makeReadable(half: Socket): Socket | null {
  // Deno has the handle, but what it is open on is closed with the first socket: what was written would be
  // lost.
  if (process.versions.deno !== undefined) return null;
  const owner = half as unknown as { _handle: unknown };
  const handle = owner._handle;
  if (handle === null || handle === undefined) return null;
  owner._handle = null;
  return new Socket({ handle, allowHalfOpen: true } as SocketConstructorOpts);
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
