/** UDP sockets as raw sockets for datagrams. */
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET } from '../../base/constants.ts';
import { LoopError } from '../../base/errors.ts';
import { invalidArgType } from '../../base/validate.ts';
import type {
  DatagramEvents,
  DatagramOpenEvents,
  DatagramTarget,
  RawDatagram,
  RawRequest,
  SocketControl,
  StreamInfo,
} from '../backend.ts';
import type { Id } from './addon.ts';
import { isDescriptor } from './descriptor.ts';
import type { Target } from './dispatch.ts';
import { addon, ERROR, MESSAGE, register, SENT, slice, unregister } from './dispatch.ts';
import { systemError } from './errors.ts';
import { scopeOf } from './scope.ts';
import { familyOf } from './stream.ts';

/** Bytes in front of each datagram: the system's socket address that it came from. */
const ADDRESS_BYTES = 32;
/** Where native/src/datagram.c says that it failed. */
const AT_CONNECT = 1;

export function openDatagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest {
  const id = open(target);
  const socket = id < 0 ? null : new UvDatagram(id);
  const error = id < 0 ? openError(id, target) : null;
  let wanted = true;
  process.nextTick(() => {
    if (!wanted) return;
    if (socket !== null) events.onOpen(socket);
    else events.onError(error as Error);
  });
  return {
    cancel: () => {
      wanted = false;
      socket?.close();
    },
  };
}

function openError(errno: number, { local, remote }: DatagramTarget): Error {
  if (remote !== null && addon().failedAt() === AT_CONNECT) return systemError(errno, 'connect', remote);
  return systemError(errno, 'bind', local);
}

/** An id, or an error. */
function open({ family, local, remote, socket, reusePort, broadcast }: DatagramTarget): Id {
  if (socket !== null && socket !== undefined) {
    const id = isDescriptor(socket) ? addon().datagramOpen(socket) : -1;
    if (id < 0)
      throw invalidArgType('sock', socket, 'a dgram.Socket, or the descriptor of a socket for datagrams');
    return id;
  }
  const from = packed(local ?? (family === AF_INET ? ['0.0.0.0', 0] : ['::', 0, 0, 0]));
  const to = remote === null ? null : packed(remote);
  if (typeof from === 'number') return from;
  if (typeof to === 'number') return to;
  return addon().datagram(family, from, to, reusePort, broadcast);
}

function packed(address: SocketAddress): Uint8Array | number {
  const [host, scope] = scopeOf(address as Exclude<SocketAddress, string>);
  return addon().packAddress(host, address[1] as number, scope);
}

/**
 * Facts. Linux tells that a datagram was refused when the next is received or sent; libuv sends what waits in batches, of which one that
 * cannot be sent fails the others.
 *
 * What this means. At most one waits there: after `send()` has answered false nothing more comes before `onSent`.
 */
class UvDatagram implements RawDatagram, SocketControl, Target {
  readonly id: Id;
  readonly #info: StreamInfo;
  #events: DatagramEvents | null = null;
  #receiving: boolean = false;
  /** What stood behind the moment at which receiving was stopped, in the records of one poll phase. */
  #held: Received[] = [];
  #ending: boolean = false;
  #closed: boolean = false;
  /** The last address that was sent to, and its bytes: most sockets send to few. */
  #lastTo: SocketAddress | null = null;
  #lastToPacked: Uint8Array | null = null;

  constructor(id: Id) {
    this.id = id;
    const sockname = addon().sockname(id) as SocketAddress | null;
    this.#info = {
      family: familyOf(sockname),
      sockname,
      peername: addon().peername(id) as SocketAddress | null,
      handle: this,
      direction: 'both',
      halfClose: false,
      extra: {},
    };
    register(this);
  }

  open(events: DatagramEvents): void {
    this.#events = events;
  }

  receiveStart(): void {
    if (this.#ending) return;
    this.#receiving = true;
    if (this.#held.length > 0) {
      process.nextTick(this.#release);
      return;
    }
    const errno = addon().receiveStart(this.id);
    if (errno < 0) process.nextTick(() => this.#tell({ error: systemError(errno, 'recvmsg') }));
  }

  receiveStop(): void {
    if (this.#ending) return;
    this.#receiving = false;
    addon().receiveStop(this.id);
  }

  send(data: Uint8Array, address: SocketAddress | null): boolean {
    const native = addon();
    const to = address === null ? null : this.#packed(address);
    if (typeof to === 'number') return this.#failed(to, address);
    const sent = native.trySend(this.id, data, to);
    if (sent >= 0) return true;
    // Then libuv waits until the kernel takes it.
    const errno = getsAnotherTry(sent) ? native.send(this.id, data, to) : sent;
    return errno === 0 ? false : this.#failed(errno, address);
  }

  close(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#held = [];
    addon().close(this.id);
    unregister(this);
    process.nextTick(() => {
      this.#closed = true;
      this.#events?.onClose(null);
    });
  }

  info(): StreamInfo {
    return this.#info;
  }

  fileno(): number {
    return this.#ending ? -1 : addon().fileno(this.id);
  }

  setNoDelay(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setNoDelay(): that is of TCP; every datagram is sent at once');
  }

  setKeepAlive(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setKeepAlive(): that is of TCP; UDP has no connection to probe');
  }

  onEvent(kind: number, a: number, b: number, c: number): void {
    switch (kind) {
      case MESSAGE: {
        const record = slice(a, b, ADDRESS_BYTES + c);
        if (record === null) this.#receive({ error: systemError(EFAULT, 'recvmsg') });
        else this.#receive({ data: record.subarray(ADDRESS_BYTES), address: unpacked(record) });
        return;
      }
      case ERROR:
        this.#receive({ error: systemError(a, 'recvmsg', this.#info.peername) });
        return;
      case SENT:
        if (!this.#ending) this.#events?.onSent(a < 0 ? systemError(a, 'send', this.#info.peername) : null);
    }
  }

  #packed(address: SocketAddress): Uint8Array | number {
    if (address !== this.#lastTo || this.#lastToPacked === null) {
      const bytes = packed(address);
      if (typeof bytes === 'number') return bytes;
      this.#lastTo = address;
      this.#lastToPacked = bytes;
    }
    return this.#lastToPacked;
  }

  /** The host has taken it, in a way: there is nothing to wait for. */
  #failed(errno: number, address: SocketAddress | null): boolean {
    const error = systemError(errno, 'send', address ?? this.#info.peername);
    process.nextTick(() => {
      // What had failed before the end is told all the same.
      if (this.#ending && !this.#closed) this.#events?.onError(error);
      else this.#receive({ error });
    });
    return true;
  }

  #receive(received: Received): void {
    if (this.#ending) return;
    if (this.#receiving && this.#held.length === 0) this.#tell(received);
    else this.#held.push(received);
  }

  #release = (): void => {
    while (this.#receiving && !this.#ending) {
      const received = this.#held.shift();
      if (received === undefined) {
        this.receiveStart();
        return;
      }
      this.#tell(received);
    }
  };

  #tell(received: Received): void {
    const events = this.#events;
    if (events === null || this.#ending) return;
    if ('error' in received) events.onError(received.error);
    else events.onMessage(received.data, received.address);
  }
}

type Received = { data: Buffer; address: SocketAddress } | { error: Error };

const EAGAIN = -11;
const ENOBUFS = -105;
const EFAULT = -14;

function getsAnotherTry(errno: number): boolean {
  return errno === EAGAIN || errno === ENOBUFS;
}

/** From the system's socket address, as Linux lays it out. */
function unpacked(bytes: Buffer): SocketAddress {
  const port = bytes.readUInt16BE(2);
  if (bytes.readUInt16LE(0) === AF_INET) return [`${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`, port];
  return addon().unpackAddress(bytes) as SocketAddress;
}
