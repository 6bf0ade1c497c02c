/** A connected socket of `node:net` as a raw stream. */
import { Socket } from 'node:net';
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6 } from '../../base/constants.ts';
import { invalidArgType } from '../../base/validate.ts';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../backend.ts';

const NOTHING = new Uint8Array(0);

/**
 * Facts. A paused socket reads on until its buffer is full, and says `end` even though it is paused, when the buffer is empty; a
 * socket of which both directions have ended closes itself.
 *
 * What this means. Both events may come when nothing is to be read, and before anybody listens: they wait here, in order, for
 * `open()` and `readStart()`.
 */
export class NodeStream implements RawStream, SocketControl {
  readonly #socket: Socket;
  readonly #info: StreamInfo;
  #events: StreamEvents | null = null;
  #error: Error | null = null;
  #reading: boolean = false;
  #end: 'none' | 'held' | 'told';
  #close: 'none' | 'held' | 'told' = 'none';
  /** We end it ourselves: only its close is of interest now. */
  #ending: boolean = false;

  /** @param socket connected, half-open allowed */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.pause();
    // The loop keeps the process alive while it runs, and not a moment longer; its sockets do not.
    socket.unref();
    // Asked now: a socket that is closed does not know any more.
    this.#info = {
      family: socket.remoteFamily === 'IPv6' ? AF_INET6 : AF_INET,
      sockname: toAddress(socket.localAddress, socket.localPort),
      peername: toAddress(socket.remoteAddress, socket.remotePort),
      handle: this,
    };
    this.#end = socket.readableEnded ? 'held' : 'none';
    socket.on('error', this.#onError);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
  }

  open(events: StreamEvents): void {
    this.#events = events;
    this.#socket.on('data', (data: Buffer) => events.onRead(data));
    if (this.#close === 'held') process.nextTick(this.#tell);
  }

  readStart(): void {
    this.#reading = true;
    if (this.#end === 'held') process.nextTick(this.#tell);
    else this.#socket.resume();
  }

  readStop(): void {
    this.#reading = false;
    this.#socket.pause();
  }

  write(chunks: Uint8Array[]): boolean {
    const socket = this.#socket;
    if (chunks.length === 1) {
      socket.write(chunks[0] as Uint8Array);
    } else {
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
    }
    if (socket.writableLength === 0) return true;
    // Only what the kernel refused is waited for: an empty write stands behind it in the queue. A callback with every
    // write would cost a tick each.
    socket.write(NOTHING, this.#onWritten);
    return false;
  }

  shutdown(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
    this.#endedByUs();
  }

  abort(): void {
    const socket = this.#socket;
    // What is being shut down cannot be reset: libuv refuses, and Node would then lose the handle. The FIN must do.
    const shuttingDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    try {
      if (shuttingDown) socket.destroy();
      else socket.resetAndDestroy();
    } catch {
      // Not a TCP socket: it has no RST.
      socket.destroy();
    }
    this.#endedByUs();
  }

  info(): StreamInfo {
    return this.#info;
  }

  fileno(): number {
    return -1;
  }

  setNoDelay(on: boolean): void {
    this.#socket.setNoDelay(on);
  }

  setKeepAlive(on: boolean, delaySeconds: number): void {
    // Node cuts fractions of a second off.
    this.#socket.setKeepAlive(on, Math.ceil(delaySeconds) * 1000);
  }

  #onError = (error: Error): void => {
    this.#error ??= error;
  };

  #onEnd = (): void => {
    this.#end = 'held';
    if (this.#events !== null) this.#tell();
  };

  #onClose = (): void => {
    this.#close = 'held';
    if (this.#events !== null) this.#tell();
  };

  /** Tells what has happened and may be told: the end to one who reads, the close behind it. */
  #tell = (): void => {
    const events = this.#events as StreamEvents;
    if (this.#end === 'held' && this.#reading && !this.#ending) {
      this.#end = 'told';
      events.onEnd();
    }
    if (this.#close === 'held' && (this.#end !== 'held' || this.#ending || this.#error !== null)) {
      this.#close = 'told';
      events.onClose(this.#error);
    }
  };

  #endedByUs(): void {
    this.#ending = true;
    if (this.#close === 'held' && this.#events !== null) process.nextTick(this.#tell);
  }

  #onWritten = (error?: Error | null): void => {
    if (error === undefined || error === null) this.#events?.onWritten();
  };
}

/** Takes a connected socket over: a `net.Socket`, or the number of a descriptor. */
export function adoptSocket(sock: unknown): NodeStream {
  const socket = typeof sock === 'number' ? fromDescriptor(sock) : sock;
  if (!(socket instanceof Socket)) throw invalidArgType('sock', sock, 'a descriptor or a net.Socket');
  if (socket.pending || socket.destroyed || socket.writableEnded) {
    throw invalidArgType('sock', sock, 'a socket that is connected and open for writing');
  }
  if (socket.readableEncoding !== null) {
    throw invalidArgType('sock', sock, 'a socket that reads bytes: it has a character encoding');
  }
  socket.allowHalfOpen = true;
  socket.setNoDelay(true);
  return new NodeStream(socket);
}

function fromDescriptor(fd: number): Socket {
  if (!Number.isInteger(fd) || fd < 0) throw invalidArgType('sock', fd, 'a descriptor');
  const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  if (socket.remoteAddress === undefined) {
    socket.destroy();
    throw invalidArgType('sock', fd, 'the descriptor of a socket that is connected');
  }
  return socket;
}

export function toAddress(host: string | undefined, port: number | undefined): SocketAddress | null {
  if (host === undefined || port === undefined) return null;
  return host.includes(':') ? [host, port, 0, 0] : [host, port];
}
