/** Sockets without buffers on a simulated host: each call is one system call of its kernel. */
import type { SocketAddress } from '../../../base/address.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../../base/constants.ts';
import type { RawSocket, SocketTarget, SystemSocket } from '../../backend.ts';
import { systemError } from '../errors.ts';
import { wordOf } from '../inet/inet-options.ts';
import type { DatagramKernel, StreamKernel } from '../kernel-sockets.ts';
import type { Descriptors } from '../machine/descriptors.ts';
import { OpenFile } from '../machine/open-file.ts';
import { OpenSocket } from './open-socket.ts';

const CLOSED = -1;

/** The parts of a host that sockets need. */
export interface SocketHost {
  readonly descriptors: Descriptors;
  readonly tcp: StreamKernel;
  readonly unix: StreamKernel;
  readonly udp: DatagramKernel;
}

/** Opens a socket, or takes over a descriptor. If it throws, the caller still owns the descriptor. */
export function openSocket(host: SocketHost, { family, type, proto, fileno }: SocketTarget): RawSocket {
  const { descriptors } = host;
  const fd = fileno ?? descriptors.open(newSocket(host, family, type, proto), 'socket');
  return new SimSocket(descriptors, fd, 'getsockopt');
}

function newSocket({ tcp, unix, udp }: SocketHost, family: number, type: number, proto: number): OpenSocket {
  if (family !== AF_UNIX && family !== AF_INET && family !== AF_INET6)
    throw systemError('EAFNOSUPPORT', 'socket');
  const own = family === AF_UNIX ? 0 : type === SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
  const isKnown = type === SOCK_STREAM || (type === SOCK_DGRAM && family !== AF_UNIX);
  if (!isKnown || (proto !== 0 && proto !== own)) throw systemError('EPROTONOSUPPORT', 'socket');
  if (type === SOCK_DGRAM) return OpenSocket.ofDatagrams(udp.open(family), proto);
  return new OpenSocket(family, type, proto, family === AF_UNIX ? unix : tcp);
}

/** Returns the socket of a descriptor. Throws the system's error: `EBADF`, `ENOTSOCK`. */
export function socketOf(descriptors: Descriptors, fd: number, syscall: string): OpenSocket {
  const object = descriptors.get(fd, syscall);
  if (!(object instanceof OpenSocket)) throw systemError('ENOTSOCK', syscall);
  return object;
}

/** The descriptor must be that of a socket. */
class SimSocket implements RawSocket {
  readonly family: number;
  readonly type: number;
  readonly proto: number;
  readonly #descriptors: Descriptors;
  #fd: number;
  #socket: OpenSocket | null;

  constructor(descriptors: Descriptors, fd: number, syscall: string) {
    const socket = socketOf(descriptors, fd, syscall);
    this.#descriptors = descriptors;
    this.#fd = fd;
    this.#socket = socket;
    this.family = socket.family;
    this.type = socket.type;
    this.proto = socket.proto;
  }

  get fd(): number {
    return this.#fd;
  }

  bind(address: SocketAddress): void {
    this.#open('bind').bind(address);
  }

  listen(backlog: number): void {
    this.#open('listen').listen(backlog);
  }

  accept(): [RawSocket, SocketAddress | null] | null {
    const channel = this.#open('accept').accept();
    if (channel === null) return null;
    const socket = OpenSocket.ofChannel(channel, this.proto);
    const fd = this.#descriptors.open(socket, 'accept');
    return [new SimSocket(this.#descriptors, fd, 'accept'), channel.peername];
  }

  connect(address: SocketAddress): boolean {
    return this.#open('connect').connect(address);
  }

  recv(length: number): Buffer | null {
    const received = this.#open('recv').receive(length, 'recv');
    return received === null ? null : bufferOf(received.data);
  }

  recvInto(buffer: Uint8Array): number | null {
    const received = this.#open('recv').receive(buffer.length, 'recv');
    if (received === null) return null;
    buffer.set(received.data);
    return received.data.length;
  }

  recvFrom(length: number): [Buffer, SocketAddress | null] | null {
    const received = this.#open('recvfrom').receive(length, 'recvfrom');
    return received === null ? null : [bufferOf(received.data), received.address];
  }

  recvFromInto(buffer: Uint8Array): [number, SocketAddress | null] | null {
    const received = this.#open('recvfrom').receive(buffer.length, 'recvfrom');
    if (received === null) return null;
    buffer.set(received.data);
    return [received.data.length, received.address];
  }

  send(data: Uint8Array, offset: number): number | null {
    return this.#open('send').send(data.subarray(offset), null, 'send');
  }

  sendTo(data: Uint8Array, address: SocketAddress): number | null {
    return this.#open('sendto').send(data, address, 'sendto');
  }

  sendFile(file: number, offset: number, count: number): number | null {
    const socket = this.#open('sendfile');
    // A file of the real machine has no descriptor here.
    const object = file < 0 ? null : this.#descriptors.get(file, 'sendfile');
    if (!(object instanceof OpenFile)) throw systemError('EINVAL', 'sendfile');
    const bytes = new Uint8Array(count);
    const length = object.read(bytes, count, offset);
    return length === 0 ? 0 : socket.send(bytes.subarray(0, length), null, 'sendfile');
  }

  shutdown(how: number): void {
    this.#open('shutdown').shutdown(how);
  }

  sockname(): SocketAddress | null {
    return this.#open('getsockname').sockname;
  }

  peername(): SocketAddress | null {
    return this.#open('getpeername').peername;
  }

  getOption(level: number, option: number): number;
  getOption(level: number, option: number, length: number): Buffer;
  getOption(level: number, option: number, length?: number): Buffer | number {
    return optionValue(this.#open('getsockopt'), level, option, length);
  }

  setOption(level: number, option: number, value: number | Uint8Array): void {
    this.#open('setsockopt').setOption(level, option, value);
  }

  duplicate(): RawSocket {
    return new SimSocket(this.#descriptors, this.#descriptors.duplicate(this.#fd), 'dup');
  }

  detach(): number {
    const fd = this.#fd;
    this.#fd = CLOSED;
    this.#socket = null;
    return fd;
  }

  close(): void {
    if (this.#fd !== CLOSED) this.#descriptors.close(this.detach());
  }

  #open(syscall: string): OpenSocket {
    if (this.#socket === null) throw systemError('EBADF', syscall);
    return this.#socket;
  }
}

/** The socket of a transport or a server, for `TransportSocket`. */
export class SimSystemSocket implements SystemSocket {
  readonly #descriptors: Descriptors;
  readonly #owner: { fileno(): number };

  constructor(descriptors: Descriptors, owner: { fileno(): number }) {
    this.#descriptors = descriptors;
    this.#owner = owner;
  }

  getOption(level: number, option: number): number;
  getOption(level: number, option: number, length: number): Buffer;
  getOption(level: number, option: number, length?: number): Buffer | number {
    return optionValue(this.#socket('getsockopt'), level, option, length);
  }

  setOption(level: number, option: number, value: number | Uint8Array): void {
    this.#socket('setsockopt').setOption(level, option, value);
  }

  duplicate(): RawSocket {
    const fd = this.#descriptors.duplicate(this.#owner.fileno());
    return new SimSocket(this.#descriptors, fd, 'dup');
  }

  #socket(syscall: string): OpenSocket {
    return socketOf(this.#descriptors, this.#owner.fileno(), syscall);
  }
}

/** Returns an option as a number, or with a length as bytes. */
function optionValue(socket: OpenSocket, level: number, option: number, length?: number): number | Buffer;
function optionValue(socket: OpenSocket, level: number, option: number, length: number): Buffer;
function optionValue(socket: OpenSocket, level: number, option: number, length?: number): number | Buffer {
  const value = socket.getOption(level, option);
  if (length === undefined) return typeof value === 'number' ? value : wordOf(value, 0);
  const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value;
  return bufferOf(bytes.subarray(0, length));
}

/** Views the bytes as a Buffer, which the receiver owns. */
function bufferOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
