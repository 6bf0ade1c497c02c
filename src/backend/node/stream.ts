/** A connected socket of `node:net` as a raw stream: TCP, or a unix socket. */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../../base/constants.ts';
import { InvalidStateError } from '../../base/errors.ts';
import { givenAway } from '../../base/given-away.ts';
import { invalidArgType } from '../../base/validate.ts';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../backend.ts';
import { takeSocket } from './descriptor-owners.ts';
import { HeldChunks } from './held-chunks.ts';
import { keepNonBlocking, share } from './non-blocking.ts';
import { ReadSide } from './read-side.ts';

const NOTHING = new Uint8Array(0);

/** The names of a unix socket. Node cannot be asked: whoever made it must know. Null: nobody does. */
export interface UnixNames {
  sockname: string | null;
  peername: string | null;
}

export class NodeStream extends ReadSide implements RawStream, SocketControl {
  readonly #socket: Socket;
  readonly #info: StreamInfo;
  #events: StreamEvents | null = null;
  #held: HeldChunks | null = null;

  /**
   * @param socket connected, half-open allowed
   * @param unix null: TCP
   */
  constructor(socket: Socket, unix: UnixNames | null = null) {
    super(socket);
    this.#socket = socket;
    // The loop keeps the process alive while it runs, and not a moment longer; its sockets do not.
    socket.unref();
    // Asked now: a socket that is closed does not know any more.
    const names = unix ?? {
      sockname: toAddress(socket.localAddress, socket.localPort),
      peername: toAddress(socket.remoteAddress, socket.remotePort),
    };
    this.#info = {
      family: unix !== null ? AF_UNIX : socket.remoteFamily === 'IPv6' ? AF_INET6 : AF_INET,
      ...names,
      handle: this,
      direction: 'both',
      halfClose: true,
      extra: {},
    };
  }

  override open(events: StreamEvents): void {
    this.#events = events;
    super.open(events);
  }

  write(chunks: Uint8Array[]): boolean {
    const socket = this.#socket;
    keepNonBlocking(socket);
    if (chunks.length === 1) {
      socket.write(chunks[0] as Uint8Array);
    } else {
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
    }
    if (socket.writableLength === 0) return true;
    this.#held ??= new HeldChunks();
    this.#held.hold(chunks);
    // Only what the kernel refused is waited for: an empty write stands behind it in the queue. A callback
    // with every write would cost a tick each.
    socket.write(NOTHING, this.#onWritten);
    return false;
  }

  shutdown(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
    this.endedByUs();
  }

  abort(): void {
    const socket = this.#socket;
    // What is being shut down cannot be reset: libuv refuses, and Node would then lose the handle. The FIN
    // must do.
    const shuttingDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    try {
      if (shuttingDown) socket.destroy();
      else socket.resetAndDestroy();
    } catch {
      // Not a TCP socket: it has no RST.
      socket.destroy();
    }
    this.endedByUs();
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

  #onWritten = (error?: Error | null): void => {
    if (error !== undefined && error !== null) return;
    if (this.#held?.release() === false) this.#socket.destroy(givenAway());
    else this.#events?.onWritten();
  };
}

/** What a transport has: a second one would take its data. */
const taken: WeakSet<Socket> = new WeakSet();

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
  if (taken.has(socket)) throw invalidArgType('sock', sock, 'a socket that no other transport has');
  taken.add(socket);
  // It may be connected anew.
  socket.once('close', () => taken.delete(socket));
  socket.allowHalfOpen = true;
  socket.setNoDelay(true);
  share(socket);
  return new NodeStream(socket, isUnix(socket) ? { sockname: null, peername: null } : null);
}

/** A TCP socket knows its own address as long as it is open. */
function isUnix(socket: Socket): boolean {
  return socket.localAddress === undefined;
}

function fromDescriptor(fd: number): Socket {
  if (!Number.isInteger(fd) || fd < 0 || !isSocket(fd))
    throw invalidArgType('sock', fd, 'the descriptor of a socket');
  const socket = open(fd);
  takeSocket(fd, socket);
  if (socket.remoteAddress === undefined && !isUnix(socket)) {
    // Node gives no descriptor back. Not as what is wrong with the argument, which would leave it to its
    // owner.
    socket.destroy();
    throw Object.assign(new Error('getpeername ENOTCONN'), NOT_CONNECTED);
  }
  return socket;
}

const NOT_CONNECTED = { code: 'ENOTCONN', errno: -constants.errno.ENOTCONN, syscall: 'getpeername' };

function open(fd: number): Socket {
  try {
    return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  } catch (error) {
    // Of datagrams, say.
    if (error instanceof TypeError) throw invalidArgType('sock', fd, 'the descriptor of a stream socket');
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    throw new InvalidStateError(`descriptor ${fd} belongs to a socket of Node's`);
  }
}

/** Whether a descriptor is open, and a socket. */
export function isSocket(fd: number): boolean {
  return inodeOf(fd) !== null;
}

/** Of a descriptor that is open, and a socket; else null. */
export function inodeOf(fd: number): number | null {
  try {
    const facts = fstatSync(fd);
    return facts.isSocket() ? facts.ino : null;
  } catch {
    return null;
  }
}

export function toAddress(host: string | undefined, port: number | undefined): SocketAddress | null {
  if (host === undefined || port === undefined) return null;
  return host.includes(':') ? [host, port, 0, 0] : [host, port];
}
