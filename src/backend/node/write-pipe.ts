/** A Writable of Node as a raw stream that is only written. */

import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { givenAway } from '../../base/given-away.ts';
import { hostNextTick, hostSetTimeout } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawStream, StreamEvents, StreamInfo } from '../backend.ts';
import { keepNonBlocking, share, unshare } from '../shared/non-blocking.ts';
import { pipeInfo } from '../shared/pipe-value.ts';
import { HeldChunks } from './held-chunks.ts';
import { ignore, THREAD_PATIENCE } from './read-pipe.ts';

/** The value on Linux and on macOS. */
const EPIPE = -32;

/**
 * Sockets of Node end when their peer has gone; for pipes see `openWatched`. Events before `open()` wait for
 * it.
 */
export class WritePipe implements RawStream {
  readonly #stream: Writable;
  readonly #info: StreamInfo;
  readonly #isStdio: boolean;
  readonly #release: (stream: object) => void;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  #writes: number = 0;
  /** The number of the write after which `onWritten` is due; 0: none. */
  #awaited: number = 0;
  readonly #held: HeldChunks = new HeldChunks();
  /** The rest of a write, which the stream gets in several groups. */
  #groups: Uint8Array[][] = [];
  /** Whether the reader has gone, and whether that was reported. */
  #gone: 'no' | 'held' | 'told' = 'no';
  #close: 'none' | 'held' | 'told' = 'none';
  #ending: boolean = false;

  /**
   * @param pipe the user's value, for `getExtraInfo('pipe')`
   * @param isStdio true for a standard stream of the process, which stays open after the transport
   * @param release called when the transport no longer uses a stream that stays open
   */
  constructor(
    stream: Writable,
    pipe: unknown,
    isStdio: boolean = false,
    release: (stream: object) => void = () => {},
  ) {
    this.#stream = stream;
    this.#isStdio = isStdio;
    this.#release = release;
    this.#info = pipeInfo('write', pipe);
    stream.on('error', this.#onError);
    stream.on('close', this.#onClose);
    if (!(stream instanceof node.net.Socket)) return;
    share(stream);
    if (isStdio) return;
    stream.unref();
    if (stream.readable && !isTerminal(stream)) this.#watch(stream);
  }

  open(events: StreamEvents): void {
    this.#events = events;
    hostNextTick(this.#tell);
  }

  /** Never called, because the pipe is only written. */
  readStart(): void {}

  readStop(): void {}

  write(chunks: Uint8Array[]): boolean {
    const stream = this.#stream;
    if (this.#gone !== 'no' && stream.destroyed) {
      this.#failed(brokenPipe());
      return false;
    }
    this.#held.hold(chunks);
    this.#groups = stream instanceof node.net.Socket ? [chunks] : groupsOf(chunks);
    this.#feed();
    if (this.#groups.length === 0 && stream.writableLength === 0) {
      this.#held.release();
      return true;
    }
    this.#awaited = this.#writes;
    return false;
  }

  #feed(): void {
    const stream = this.#stream;
    const group = this.#groups.shift() as Uint8Array[];
    keepNonBlocking(stream);
    const id = ++this.#writes;
    const last = group.length - 1;
    stream.cork();
    for (const [i, chunk] of group.entries()) {
      if (i < last) stream.write(chunk);
      else stream.write(chunk, (error) => this.#written(id, error));
    }
    stream.uncork();
  }

  /** Never called: the write end of a pipe is ended by closing it. */
  shutdown(): void {}

  close(): void {
    this.#ending = true;
    const stream = this.#stream;
    if (this.#isStdio) {
      this.#detach();
    } else if (stream.writable) {
      // The stream may still append data of its own, so wait for `finish`.
      stream.once('finish', this.#onFinish);
      stream.end();
    } else {
      stream.destroy();
    }
    if (this.#close === 'held') hostNextTick(this.#tell);
  }

  abort(): void {
    this.#ending = true;
    if (this.#isStdio) this.#detach();
    else this.#stream.destroy();
    if (this.#close === 'held') hostNextTick(this.#tell);
    // A thread that waits in `open()` or `write()` cannot be cancelled.
    else if (this.#stream instanceof node.fs.WriteStream)
      hostSetTimeout(this.#giveUp, THREAD_PATIENCE).unref();
  }

  info(): StreamInfo {
    return this.#info;
  }

  /** Drops data that arrives at a socket that is only written, and watches for its end. */
  #watch(socket: Socket): void {
    socket.allowHalfOpen = true;
    socket.on('end', () => this.#readerGone());
    socket.resume();
  }

  #readerGone(): void {
    if (this.#stream.writableLength > 0) {
      this.#failed(brokenPipe());
    } else {
      this.#gone = 'held';
      this.#tell();
    }
  }

  #written(id: number, error: Error | null | undefined): void {
    if (error !== undefined && error !== null) return;
    if (this.#isStdio && this.#ending) this.#stream.removeListener('error', this.#onError);
    if (id !== this.#awaited) return;
    this.#awaited = 0;
    if (!this.#held.intact) {
      this.#failed(givenAway());
    } else if (this.#groups.length > 0) {
      this.#feed();
      this.#awaited = this.#writes;
    } else {
      this.#held.release();
      if (!this.#ending) this.#events?.onWritten();
    }
  }

  #failed(error: Error): void {
    this.#error ??= error;
    if (this.#isStdio) this.#detach();
    else this.#stream.destroy();
    if (this.#close === 'held') hostNextTick(this.#tell);
  }

  #onError = (error: NodeJS.ErrnoException): void => {
    // The socket is read only to notice this.
    if (error.syscall === 'read' && this.#stream instanceof node.net.Socket) this.#readerGone();
    else this.#failed(error);
  };

  #onFinish = (): void => {
    const stream = this.#stream;
    if (stream instanceof node.net.Socket || !(stream instanceof node.stream.Duplex)) {
      stream.destroy();
    } else {
      // Other code must still read the output that the stream makes from the data.
      this.#detach();
      this.#tell();
    }
  };

  #onClose = (): void => {
    unshare(this.#stream);
    if (this.#close === 'none') this.#close = 'held';
    this.#tell();
  };

  #giveUp = (): void => {
    this.#stream.on('error', ignore);
    this.#detach();
    this.#tell();
  };

  /**
   * Reports the events that may be reported now: that the reader has gone, and the close, which then waits
   * until the transport closes the stream.
   */
  #tell = (): void => {
    const events = this.#events;
    if (events === null) return;
    if (this.#gone === 'held' && !this.#ending) {
      this.#gone = 'told';
      events.onEnd();
    }
    if (this.#close === 'held' && (this.#gone === 'no' || this.#ending || this.#error !== null)) {
      this.#close = 'told';
      events.onClose(this.#error);
    }
  };

  /** Stops using a stream that stays open. For the transport it is closed. */
  #detach(): void {
    const stream = this.#stream;
    unshare(stream);
    stream.removeListener('close', this.#onClose);
    // Pending writes of Node may fail, and their error must not end the process.
    if (stream.writableLength === 0) stream.removeListener('error', this.#onError);
    if (this.#close === 'none') this.#close = 'held';
    this.#release(stream);
  }
}

/**
 * Bytes. Above 2 GiB, a stream over a file or device never ends: `fs.write()` throws, and after a partial
 * `fs.writev()` Node writes the rest again from its beginning.
 */
const LONGEST_GROUP_BYTES: number = 2 ** 30;

function groupsOf(chunks: Uint8Array[]): Uint8Array[][] {
  if (chunks.reduce((bytes, { length }) => bytes + length, 0) <= LONGEST_GROUP_BYTES) return [chunks];
  const groups: Uint8Array[][] = [];
  let room = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      if (room === 0) {
        groups.push([]);
        room = LONGEST_GROUP_BYTES;
      }
      const piece = chunk.subarray(at, at + room);
      groups.at(-1)?.push(piece);
      at += piece.length;
      room -= piece.length;
    }
  }
  return groups;
}

/** Returns true for a terminal. It must not be read, because other code reads the input. */
function isTerminal(stream: Socket): boolean {
  return stream instanceof node.tty.ReadStream || stream instanceof node.tty.WriteStream;
}

function brokenPipe(): Error {
  return Object.assign(new Error('write EPIPE'), { code: 'EPIPE', errno: EPIPE, syscall: 'write' });
}
