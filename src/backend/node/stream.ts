/** A connected socket of `node:net` as a raw stream. */
import { Socket } from 'node:net';
import { AF_INET, AF_INET6 } from '../../base/constants.ts';
import type { SocketAddress } from '../../base/address.ts';
import { invalidArgType } from '../../base/validate.ts';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../backend.ts';

const NOTHING = new Uint8Array(0);

export class NodeStream implements RawStream, SocketControl {
  readonly #socket: Socket;
  readonly #info: StreamInfo;
  #events: StreamEvents | null = null;
  #error: Error | null = null;

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
    socket.on('error', this.#onError);
  }

  open(events: StreamEvents): void {
    this.#events = events;
    const socket = this.#socket;
    socket.on('data', (data: Buffer) => events.onRead(data));
    socket.on('end', () => events.onEnd());
    socket.on('close', () => events.onClose(this.#error));
    if (socket.closed) process.nextTick(() => events.onClose(this.#error));
  }

  readStart(): void {
    this.#socket.resume();
  }

  readStop(): void {
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
  }

  abort(): void {
    this.#socket.resetAndDestroy();
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
    this.#socket.setKeepAlive(on, delaySeconds * 1000);
  }

  #onError = (error: Error): void => {
    this.#error ??= error;
  };

  #onWritten = (error?: Error | null): void => {
    if (error === undefined || error === null) this.#events?.onWritten();
  };
}

/** Takes a connected socket over: a `net.Socket`, or the number of a descriptor. */
export function adoptSocket(sock: unknown): NodeStream {
  const socket = typeof sock === 'number' ? fromDescriptor(sock) : sock;
  if (!(socket instanceof Socket)) throw invalidArgType('sock', sock, 'a descriptor or a net.Socket');
  if (socket.pending || socket.destroyed) throw invalidArgType('sock', sock, 'a socket that is connected');
  socket.allowHalfOpen = true;
  socket.setNoDelay(true);
  return new NodeStream(socket);
}

function fromDescriptor(fd: number): Socket {
  if (!Number.isInteger(fd) || fd < 0) throw invalidArgType('sock', fd, 'a descriptor');
  return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
}

export function toAddress(host: string | undefined, port: number | undefined): SocketAddress | null {
  if (host === undefined || port === undefined) return null;
  return host.includes(':') ? [host, port, 0, 0] : [host, port];
}
