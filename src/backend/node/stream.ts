/** A connected socket of `node:net` as a raw stream: TCP, or a unix socket. */

import type { Socket } from 'node:net';
import { constants } from 'node:os';
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../../base/constants.ts';
import { InvalidStateError } from '../../base/errors.ts';
import { givenAway } from '../../base/given-away.ts';
import { UnusableError } from '../../base/unusable.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawStream, SocketControl, StreamEvents, StreamInfo } from '../backend.ts';
import { keepNonBlocking, share } from '../shared/non-blocking.ts';
import { readWithoutGarbage } from './ciphertext.ts';
import { confirmEnd } from './confirm-end.ts';
import { takeSocket } from './descriptor-owners.ts';
import { HeldChunks } from './held-chunks.ts';
import { ReadSide } from './read-side.ts';

const NOTHING = new Uint8Array(0);

/**
 * The names of a unix socket. Node cannot be asked, so the code that made the socket passes them. null:
 * unknown.
 */
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
   * @param socket a connected socket that allows half-open connections
   * @param unix null for TCP
   */
  constructor(socket: Socket, unix: UnixNames | null = null) {
    super(socket);
    this.#socket = socket;
    // Only a running loop keeps the process alive; its sockets do not.
    socket.unref();
    // Ask now, because a closed socket no longer knows its addresses.
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

  /** A TLS session is about to take over what the socket reads. */
  expectCiphertext(): void {
    readWithoutGarbage(this.#socket);
  }

  protected override confirmEnd(confirmed: () => void): void {
    confirmEnd(this.#socket, confirmed);
  }

  protected override hasUnsent(): boolean {
    return this.#held?.empty === false;
  }

  override open(events: StreamEvents): void {
    this.#events = events;
    super.open(events);
  }

  write(chunks: Uint8Array[]): boolean {
    const socket = this.#socket;
    this.dropUnread();
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
    // Wait only for data that the kernel refused: an empty write is queued behind it. A callback with every
    // write would cost a tick each time.
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
    // A socket that is shutting down cannot be reset: libuv refuses, and Node would then lose the handle. So
    // FIN is sent instead.
    const shuttingDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    try {
      if (shuttingDown) socket.destroy();
      else socket.resetAndDestroy();
    } catch {
      // Not a TCP socket, so it has no RST.
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
    // Node ignores fractions of a second.
    this.#socket.setKeepAlive(on, Math.ceil(delaySeconds) * 1000);
  }

  #onWritten = (error?: Error | null): void => {
    if (error !== undefined && error !== null) return;
    if (this.#held?.release() === false) this.#socket.destroy(givenAway());
    else this.#events?.onWritten();
  };
}

/** Sockets that a transport owns. A second transport would take its data. */
const owned: WeakSet<Socket> = new WeakSet();

/** Takes ownership of a connected socket: a `net.Socket`, or a file descriptor. */
export function adoptSocket(sock: unknown): NodeStream {
  const socket = typeof sock === 'number' ? fromDescriptor(sock) : sock;
  if (!(socket instanceof node.net.Socket)) throw new UnusableError(sock, 'a descriptor or a net.Socket');
  if (socket.pending || socket.destroyed || socket.writableEnded) {
    throw new UnusableError(sock, 'a socket that is connected and open for writing');
  }
  if (socket.readableEncoding !== null) {
    throw new UnusableError(sock, 'a socket that reads bytes: it has a character encoding');
  }
  if (owned.has(socket)) throw new UnusableError(sock, 'a socket that no other transport uses');
  owned.add(socket);
  // The socket may be connected again later.
  socket.once('close', () => owned.delete(socket));
  socket.allowHalfOpen = true;
  socket.setNoDelay(true);
  share(socket);
  return new NodeStream(socket, isUnix(socket) ? { sockname: null, peername: null } : null);
}

/** Returns true for a unix socket. An open TCP socket knows its own address. */
function isUnix(socket: Socket): boolean {
  return socket.localAddress === undefined;
}

function fromDescriptor(fd: number): Socket {
  if (!Number.isInteger(fd) || fd < 0 || !isSocket(fd))
    throw new UnusableError(fd, 'the descriptor of a socket');
  const socket = open(fd);
  takeSocket(fd, socket);
  if (socket.remoteAddress === undefined && !isUnix(socket)) {
    // Node cannot return the descriptor, so the transport owns it now. Don't throw an argument error here,
    // because that would mean that the caller still owns it.
    socket.destroy();
    throw Object.assign(new Error('getpeername ENOTCONN'), NOT_CONNECTED);
  }
  return socket;
}

const NOT_CONNECTED = { code: 'ENOTCONN', errno: -constants.errno.ENOTCONN, syscall: 'getpeername' };

function open(fd: number): Socket {
  try {
    return new node.net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  } catch (error) {
    // For example, a datagram socket.
    if (error instanceof TypeError) throw new UnusableError(fd, 'the descriptor of a stream socket');
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    throw new InvalidStateError(`descriptor ${fd} already belongs to a socket of Node`);
  }
}

/** Returns true if a descriptor is open and is a socket. */
export function isSocket(fd: number): boolean {
  return inodeOf(fd) !== null;
}

/** Returns the inode of an open descriptor of a socket, otherwise null. */
export function inodeOf(fd: number): number | null {
  try {
    const facts = node.fs.fstatSync(fd);
    return facts.isSocket() ? facts.ino : null;
  } catch {
    return null;
  }
}

export function toAddress(host: string | undefined, port: number | undefined): SocketAddress | null {
  if (host === undefined || port === undefined) return null;
  return host.includes(':') ? [host, port, 0, 0] : [host, port];
}
