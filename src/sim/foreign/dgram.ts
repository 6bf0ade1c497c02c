/**
 * `node:dgram` inside a host. Each socket has a handle of Node, on which nothing native sits: so the handle
 * gets methods of ours as soon as Node has made it, and its own ones are never called.
 */
import { AsyncResource } from 'node:async_hooks';
import type { UdpSocket } from '../../backend/sim/inet/udp-socket.ts';
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from '../../base/constants.ts';
import type { Place } from '../place.ts';
import { errnoOf, UV_EBADF, UV_EINVAL, UV_ENOTCONN } from './errno.ts';
import type { NativeAddress } from './stream-handle.ts';
import { fillAddress, soonIn } from './stream-handle.ts';

const ROOT_TRIGGER = 1;
const UV_UDP_IPV6ONLY = 1;
const UV_UDP_REUSEADDR = 4;
const UV_UDP_REUSEPORT = 64;

/** The fields of Node's handle that its socket sets. */
interface NodeHandle {
  onmessage?: (status: number, handle: object, data?: Buffer, sender?: NativeAddress) => void;
  close(callback?: () => void): void;
}

/** Called with each new handle of a host. */
export function adoptUdp(handle: NodeHandle, place: Place): void {
  const adopted = new AdoptedUdp(handle, place);
  for (const name of METHODS) {
    Object.defineProperty(handle, name, {
      configurable: true,
      writable: true,
      value: (...args: never[]) => (adopted[name] as (...args: never[]) => unknown)(...args),
    });
  }
}

/** Returns the status of libuv for what `call` does. */
function statusOf(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}

class AdoptedUdp {
  readonly #handle: NodeHandle;
  readonly #place: Place;
  readonly #closeReal: () => void;
  readonly #context: AsyncResource = new AsyncResource('GYRE', ROOT_TRIGGER);
  #socket: UdpSocket | null = null;
  #receiving: boolean = false;
  #pumping: boolean = false;
  #closed: boolean = false;
  #referenced: boolean = true;
  #letGo: (() => void) | null = null;
  #forgetEnd: (() => void) | null = null;

  constructor(handle: NodeHandle, place: Place) {
    this.#handle = handle;
    this.#place = place;
    const { close } = handle;
    this.#closeReal = () => close.call(handle);
    // A program that ends closes no socket of its own. Node's handle would stay for ever.
    this.#forgetEnd = place.onEnd((crashed) => this.#end(crashed));
  }

  #open(family: number): UdpSocket {
    if (this.#socket !== null) return this.#socket;
    const socket = this.#place.kernel.network.udp.open(family);
    this.#socket = socket;
    socket.events = {
      onReadable: () => this.#pumpSoon(),
      onWritable() {},
      onError: (error) => this.#tell(errnoOf(error)),
    };
    return socket;
  }

  // --- addresses ---

  bind = (address: string, port: number, flags: number): number => this.#bind([address, port], flags);
  bind6 = (address: string, port: number, flags: number): number => this.#bind([address, port, 0, 0], flags);

  #bind(address: SocketAddress, flags: number): number {
    if (this.#closed) return UV_EBADF;
    return statusOf(() => {
      this.#open(address.length === 4 ? AF_INET6 : AF_INET).bind(address, {
        reuseAddress: (flags & UV_UDP_REUSEADDR) !== 0,
        reusePort: (flags & UV_UDP_REUSEPORT) !== 0,
        ipv6Only: (flags & UV_UDP_IPV6ONLY) !== 0,
      });
    });
  }

  connect = (address: string, port: number): number => this.#connect([address, port]);
  connect6 = (address: string, port: number): number => this.#connect([address, port, 0, 0]);

  #connect(address: SocketAddress): number {
    if (this.#closed) return UV_EBADF;
    return statusOf(() => this.#open(address.length === 4 ? AF_INET6 : AF_INET).connect(address));
  }

  disconnect = (): number => {
    if (this.#socket === null) return UV_EBADF;
    if (this.#socket.peer === null) return UV_ENOTCONN;
    this.#socket.peer = null;
    return 0;
  };

  getsockname = (out: NativeAddress): number => fillAddress(out, this.#socket?.sockname ?? null);
  getpeername = (out: NativeAddress): number => fillAddress(out, this.#socket?.peername ?? null);

  // --- data ---

  send = (_request: object, list: Uint8Array[], length: number, ...rest: unknown[]): number =>
    this.#send(list, length, rest, AF_INET);
  send6 = (_request: object, list: Uint8Array[], length: number, ...rest: unknown[]): number =>
    this.#send(list, length, rest, AF_INET6);

  /**
   * @param rest port, address and whether there is a callback; without the first two on a connected socket
   */
  #send(list: Uint8Array[], length: number, rest: unknown[], family: number): number {
    if (this.#closed) return UV_EBADF;
    const [port, host] = rest as [number, string];
    const inet4: SocketAddress = [host, port];
    const address = rest.length === 1 ? null : family === AF_INET6 ? ([host, port, 0, 0] as const) : inet4;
    const data = Buffer.concat(list.slice(0, length));
    // Sent at once: the number of bytes and 1.
    return statusOf(() => this.#open(family).send(data, address as SocketAddress | null)) || data.length + 1;
  }

  recvStart = (): number => {
    this.#receiving = true;
    this.#hold();
    this.#pumpSoon();
    return 0;
  };

  recvStop = (): number => {
    this.#receiving = false;
    this.#hold();
    return 0;
  };

  #pumpSoon(): void {
    if (this.#pumping || !this.#receiving || this.#socket === null) return;
    this.#pumping = true;
    soonIn(this.#place, this.#context, this.#pump);
  }

  #pump = (): void => {
    this.#pumping = false;
    if (!this.#receiving) return;
    const datagram = this.#socket?.receive() ?? null;
    if (datagram === null) return;
    this.#pumpSoon();
    const sender: NativeAddress = {};
    fillAddress(sender, datagram.address);
    const { buffer, byteOffset, length } = datagram.data;
    const data = Buffer.from(buffer as ArrayBuffer, byteOffset, length);
    this.#handle.onmessage?.(length, this.#handle, data, sender);
  };

  #tell(status: number): void {
    soonIn(this.#place, this.#context, () => {
      if (this.#receiving) this.#handle.onmessage?.(status, this.#handle);
    });
  }

  // --- options ---

  setBroadcast = (on: number): number =>
    this.#set(({ options }) => {
      options.broadcast = Boolean(on);
    });

  setTTL = (ttl: number): number =>
    this.#set(({ options }) => {
      options.timeToLive = ttl;
    });

  setMulticastTTL = (ttl: number): number =>
    this.#set(({ options }) => {
      options.multicastHops = ttl;
    });

  setMulticastLoopback = (on: number): number =>
    this.#set(({ options }) => {
      options.multicastLoop = Boolean(on);
    });

  /** A host has one interface. */
  setMulticastInterface = (): number => this.#set(() => {});
  addMembership = (group: string): number => this.#set((socket) => socket.join(group));
  dropMembership = (group: string): number => this.#set((socket) => socket.leave(group));
  /** The source is not looked at. */
  addSourceSpecificMembership = (_source: string, group: string): number => this.addMembership(group);
  dropSourceSpecificMembership = (_source: string, group: string): number => this.dropMembership(group);

  #set(change: (socket: UdpSocket) => void): number {
    const socket = this.#socket;
    return socket === null ? UV_EBADF : statusOf(() => change(socket));
  }

  bufferSize = (
    size: number,
    receives: boolean,
    failure: { errno?: number; code?: string; syscall?: string },
  ): unknown => {
    const syscall = receives ? 'uv_recv_buffer_size' : 'uv_send_buffer_size';
    if (this.#socket === null) {
      Object.assign(failure, { errno: UV_EBADF, code: 'EBADF', message: 'bad file descriptor', syscall });
      return undefined;
    }
    const { options } = this.#socket;
    const option = receives ? SO_RCVBUF : SO_SNDBUF;
    if (size !== 0) options.set(SOL_SOCKET, option, size);
    return options.get(SOL_SOCKET, option);
  };

  getSendQueueSize = (): number => 0;
  getSendQueueCount = (): number => 0;
  /** Descriptors are those of this machine. */
  open = (): number => UV_EINVAL;

  // --- its life ---

  close = (callback?: () => void): void => {
    if (this.#closed) return;
    this.#end(false);
    if (callback !== undefined) soonIn(this.#place, this.#context, callback);
  };

  ref = (): void => {
    this.#referenced = true;
    this.#hold();
  };

  unref = (): void => {
    this.#referenced = false;
    this.#hold();
  };

  hasRef = (): boolean => this.#referenced && !this.#closed;

  #end(crashed: boolean): void {
    const socket = this.#socket;
    this.#closed = true;
    this.#receiving = false;
    this.#socket = null;
    this.#forgetEnd?.();
    this.#forgetEnd = null;
    this.#closeReal();
    if (socket !== null) {
      socket.events = null;
      if (!crashed) socket.close();
    }
    this.#hold();
  }

  /** As in libuv, a socket that receives keeps the program alive. */
  #hold(): void {
    if (this.#referenced && this.#receiving) this.#letGo ??= this.#place.keepAlive();
    else {
      this.#letGo?.();
      this.#letGo = null;
    }
  }
}

const METHODS = [
  'bind',
  'bind6',
  'connect',
  'connect6',
  'disconnect',
  'getsockname',
  'getpeername',
  'send',
  'send6',
  'recvStart',
  'recvStop',
  'setBroadcast',
  'setTTL',
  'setMulticastTTL',
  'setMulticastLoopback',
  'setMulticastInterface',
  'addMembership',
  'dropMembership',
  'addSourceSpecificMembership',
  'dropSourceSpecificMembership',
  'bufferSize',
  'getSendQueueSize',
  'getSendQueueCount',
  'open',
  'close',
  'ref',
  'unref',
  'hasRef',
] as const;
