/** Unbuffered sockets: each call is a system call (native/src/socket.c). */
import type { SocketAddress } from '../../base/address.ts';
import { ownCopy } from '../../base/own-memory.ts';
import type { RawSocket, SocketTarget, SystemOptions, SystemSocket } from '../backend.ts';
import { addon } from './dispatch.ts';
import { systemError } from './errors.ts';
import { packed } from './inet.ts';

const EAGAIN = -11;
const EALREADY = -114;
const EINPROGRESS = -115;
const INT_BYTES = 4;
const CLOSED = -1;

/** The options of a descriptor. A closed socket has the descriptor -1, for which the system answers EBADF. */
abstract class Options implements SystemOptions {
  protected abstract get descriptor(): number;

  getOption(level: number, option: number): number;
  getOption(level: number, option: number, length: number): Buffer;
  getOption(level: number, option: number, length?: number): Buffer | number {
    const value = new Int32Array(length === undefined ? 1 : Math.ceil(length / INT_BYTES));
    const bytes = Buffer.from(value.buffer, 0, length ?? INT_BYTES);
    const used = addon().socketGetOption(this.descriptor, level, option, bytes);
    if (used < 0) throw systemError(used, 'getsockopt');
    return length === undefined ? (value[0] as number) : bytes.subarray(0, used);
  }

  setOption(level: number, option: number, value: number | Uint8Array): void {
    const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value;
    const errno = addon().socketSetOption(this.descriptor, level, option, bytes);
    if (errno < 0) throw systemError(errno, 'setsockopt');
  }

  duplicate(): RawSocket {
    const fd = addon().socketDuplicate(this.descriptor);
    if (fd < 0) throw systemError(fd, 'dup');
    try {
      return adoptSocket(fd);
    } catch (error) {
      addon().closeFd(fd);
      throw error;
    }
  }
}

/** The socket of a transport or a server. */
export class UvSystemSocket extends Options implements SystemSocket {
  readonly #owner: { fileno(): number };

  constructor(owner: { fileno(): number }) {
    super();
    this.#owner = owner;
  }

  protected override get descriptor(): number {
    return this.#owner.fileno();
  }
}

export function openSocket({ family, type, proto, fileno }: SocketTarget): RawSocket {
  if (fileno === null) {
    const fd = addon().socketOpen(family, type, proto);
    if (fd < 0) throw systemError(fd, 'socket');
    return new UvSocket(fd, family, type, proto);
  }
  return adoptSocket(fileno);
}

function adoptSocket(fd: number): RawSocket {
  const facts = addon().socketAdopt(fd);
  if (typeof facts === 'number') throw systemError(facts, 'getsockopt');
  return new UvSocket(fd, ...facts);
}

/**
 * An unbuffered socket that JavaScript owns.
 *
 * A closed socket has the descriptor -1, for which the system answers every call with EBADF. While a connect
 * is under way, another `connect()` asks for its result. Don't use SO_ERROR for that: Linux then treats the
 * socket as still connecting.
 */
class UvSocket extends Options implements RawSocket {
  readonly family: number;
  readonly type: number;
  readonly proto: number;
  #fd: number;
  /** The last destination, and its packed form: most sockets send to few addresses. */
  #lastTo: SocketAddress | null = null;
  #lastToPacked: Uint8Array | string | null = null;

  constructor(fd: number, family: number, type: number, proto: number) {
    super();
    this.#fd = fd;
    this.family = family;
    this.type = type;
    this.proto = proto;
  }

  get fd(): number {
    return this.#fd;
  }

  protected override get descriptor(): number {
    return this.#fd;
  }

  bind(address: SocketAddress): void {
    const errno = addon().socketBind(this.#fd, nativeAddress(address));
    if (errno < 0) throw systemError(errno, 'bind', address);
  }

  listen(backlog: number): void {
    const errno = addon().socketListen(this.#fd, backlog);
    if (errno < 0) throw systemError(errno, 'listen');
  }

  accept(): [RawSocket, SocketAddress | null] | null {
    const accepted = addon().socketAccept(this.#fd);
    if (typeof accepted === 'number') return nullOrThrow(accepted, 'accept');
    const [fd, address] = accepted;
    return [new UvSocket(fd, this.family, this.type, this.proto), address as SocketAddress | null];
  }

  connect(address: SocketAddress): boolean {
    const errno = addon().socketConnect(this.#fd, nativeAddress(address));
    // For a unix socket, EAGAIN is final: its listener's queue is full, and no event tells when it has room.
    if (errno === EINPROGRESS || errno === EALREADY) return false;
    if (errno < 0) throw systemError(errno, 'connect', address);
    return true;
  }

  recv(length: number): Buffer | null {
    const { arena } = addon();
    const room = length <= arena.length ? arena : this.#roomFor(length);
    const received = addon().socketRecv(this.#fd, room, length);
    return received < 0 ? nullOrThrow(received, 'recv') : ownedPart(room, received);
  }

  recvInto(buffer: Uint8Array): number | null {
    const received = addon().socketRecv(this.#fd, buffer, atMost(buffer));
    return received < 0 ? nullOrThrow(received, 'recv') : received;
  }

  recvFrom(length: number): [Buffer, SocketAddress | null] | null {
    const { arena } = addon();
    const room = length <= arena.length ? arena : this.#roomFor(length);
    const received = addon().socketRecvFrom(this.#fd, room, length);
    if (typeof received === 'number') return nullOrThrow(received, 'recvfrom');
    return [ownedPart(room, received[0]), received[1] as SocketAddress | null];
  }

  recvFromInto(buffer: Uint8Array): [number, SocketAddress | null] | null {
    const received = addon().socketRecvFrom(this.#fd, buffer, atMost(buffer));
    if (typeof received === 'number') return nullOrThrow(received, 'recvfrom');
    return [received[0], received[1] as SocketAddress | null];
  }

  send(data: Uint8Array, offset: number): number | null {
    const sent = addon().socketSend(this.#fd, data, offset);
    return sent < 0 ? nullOrThrow(sent, 'send') : sent;
  }

  sendTo(data: Uint8Array, address: SocketAddress): number | null {
    if (this.#lastTo === null || this.#lastToPacked === null || !isSame(address, this.#lastTo)) {
      this.#lastToPacked = nativeAddress(address);
      this.#lastTo = address;
    }
    const sent = addon().socketSendTo(this.#fd, data, this.#lastToPacked);
    return sent < 0 ? nullOrThrow(sent, 'sendto', address) : sent;
  }

  sendFile(file: number, offset: number, count: number): number | null {
    const sent = addon().socketSendFile(this.#fd, file, offset, count);
    return sent < 0 ? nullOrThrow(sent, 'sendfile') : sent;
  }

  shutdown(how: number): void {
    const errno = addon().socketShutdown(this.#fd, how);
    if (errno < 0) throw systemError(errno, 'shutdown');
  }

  sockname(): SocketAddress | null {
    const name = addon().socketName(this.#fd);
    if (typeof name === 'number') throw systemError(name, 'getsockname');
    return name as SocketAddress | null;
  }

  peername(): SocketAddress | null {
    const name = addon().socketPeer(this.#fd);
    if (typeof name === 'number') throw systemError(name, 'getpeername');
    return name as SocketAddress | null;
  }

  detach(): number {
    const fd = this.#fd;
    this.#fd = CLOSED;
    addon().socketRelease(fd);
    return fd;
  }

  close(): void {
    if (this.#fd !== CLOSED) addon().closeFd(this.detach());
  }

  /** Memory for the data that is there: `length` may be much more. */
  #roomFor(length: number): Uint8Array {
    const { arena } = addon();
    const there = addon().socketReadable(this.#fd);
    return there > arena.length ? Buffer.allocUnsafeSlow(Math.min(there, length)) : arena;
  }
}

/** Returns null if the caller must wait for readiness; throws any other error. */
function nullOrThrow(errno: number, syscall: string, address: SocketAddress | null = null): null {
  if (errno === EAGAIN) return null;
  throw systemError(errno, syscall, address);
}

/**
 * Returns the received data, which the receiver owns. Data in the arena is copied, because the next call
 * overwrites it.
 */
function ownedPart(room: Uint8Array, received: number): Buffer {
  const part = room.subarray(0, received);
  return room === addon().arena ? ownCopy(part) : (part as Buffer);
}

const LONGEST = 0x7fff_ffff;

function atMost(buffer: Uint8Array): number {
  return Math.min(buffer.length, LONGEST);
}

function isSame(one: SocketAddress, other: SocketAddress): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  return one[0] === other[0] && one[1] === other[1] && one[3] === other[3];
}

function nativeAddress(address: SocketAddress): Uint8Array | string {
  if (typeof address === 'string') return address;
  const bytes = packed(address);
  if (typeof bytes === 'number') throw systemError(bytes, 'inet_pton', address);
  return bytes;
}
