/** UDP sockets as raw sockets for datagrams. */

import type { SocketAddress } from '../../base/address.ts';
import { AF_INET } from '../../base/constants.ts';
import { LoopError } from '../../base/errors.ts';
import { hostNextTick } from '../../base/host.ts';
import { keepable } from '../../base/own-memory.ts';
import { invalidArgType } from '../../base/validate.ts';
import type {
  Datagram,
  DatagramEvents,
  DatagramOpenEvents,
  DatagramTarget,
  RawDatagram,
  RawRequest,
  SocketControl,
  StreamInfo,
  SystemSocket,
} from '../backend.ts';
import type { Id } from './addon.ts';
import { isDescriptor } from './descriptor.ts';
import type { Target } from './dispatch.ts';
import { addon, ERROR, MESSAGE, register, SENT, slabOf, slice, unregister } from './dispatch.ts';
import { systemError } from './errors.ts';
import { ADDRESS_BYTES, addressIn, packed } from './inet.ts';
import type { Sender } from './outbox.ts';
import { gather, sendGathered } from './outbox.ts';
import { UvSystemSocket } from './sockets.ts';
import { familyOf } from './stream.ts';

/** Where native/src/datagram.c says that it failed. */
const AT_CONNECT = 1;

export function openDatagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest {
  const id = open(target);
  const socket = id < 0 ? null : new UvDatagram(id);
  const error = id < 0 ? openError(id, target) : null;
  let wanted = true;
  hostNextTick(() => {
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

/**
 * Facts. Linux tells that a datagram was refused when the next is received or sent.
 *
 * What this means. After `send()` has answered false nothing more comes before `onSent`: at most one waits in
 * the native part.
 */
class UvDatagram implements RawDatagram, SocketControl, Target, Sender {
  readonly id: Id;
  readonly #info: StreamInfo;
  #events: DatagramEvents | null = null;
  #receiving: boolean = false;
  /** What stood behind the moment at which receiving was stopped, in the records of one poll phase. */
  #held: Received[] = [];
  #ending: boolean = false;
  #closed: boolean = false;
  /** What was gathered, and then the kernel had no room for. */
  #unsent: Datagram[] = NOTHING;

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
      hostNextTick(this.#release);
      return;
    }
    const errno = addon().receiveStart(this.id);
    if (errno < 0) hostNextTick(() => this.#tell({ error: systemError(errno, 'recvmsg') }));
  }

  receiveStop(): void {
    if (this.#ending) return;
    this.#receiving = false;
    addon().receiveStop(this.id);
  }

  gather(data: Uint8Array, address: SocketAddress | null): boolean {
    return !this.#ending && gather(this, data, address);
  }

  flush(): Datagram[] {
    sendGathered();
    const unsent = this.#unsent;
    this.#unsent = NOTHING;
    return unsent;
  }

  send(data: Uint8Array, address: SocketAddress | null): boolean {
    const native = addon();
    // What others have sent before leaves before.
    sendGathered();
    const to = address === null ? null : packed(address);
    if (typeof to === 'number') return this.#failed(to, address);
    const errno = native.trySend(this.id, data, to);
    if (errno === 0) return true;
    // Then it is sent as soon as the kernel takes it.
    const waiting = errno === EAGAIN ? native.send(this.id, data, to) : errno;
    return waiting === 0 ? false : this.#failed(waiting, address);
  }

  onUnsent(errno: number, data: Buffer, address: SocketAddress | null): void {
    if (errno !== EAGAIN) this.#failed(errno, address);
    else if (this.#unsent === NOTHING) this.#unsent = [{ data, address }];
    else this.#unsent.push({ data, address });
  }

  close(): void {
    if (this.#ending) return;
    // It was sent before the end, and needs the socket.
    sendGathered();
    this.#ending = true;
    this.#held = [];
    addon().close(this.id);
    unregister(this);
    hostNextTick(() => {
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

  get system(): SystemSocket {
    return new UvSystemSocket(this);
  }

  setNoDelay(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setNoDelay(): that is of TCP; every datagram is sent at once');
  }

  setKeepAlive(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setKeepAlive(): that is of TCP; UDP has no connection to probe');
  }

  onEvent(kind: number, a: number, b: number, c: number): void {
    switch (kind) {
      case MESSAGE:
        this.#onMessage(a, b, c);
        return;
      case ERROR:
        this.#receive({ error: systemError(a, 'recvmsg', this.#info.peername) });
        return;
      case SENT:
        if (!this.#ending) this.#events?.onSent(a < 0 ? systemError(a, 'send', this.#info.peername) : null);
    }
  }

  #onMessage(slot: number, offset: number, length: number): void {
    const data = slice(slot, offset + ADDRESS_BYTES, length);
    if (data === null) {
      this.#receive({ error: systemError(EFAULT, 'recvmsg') });
      return;
    }
    const address = addressIn(slabOf(slot), offset);
    // The usual one, without an object between.
    if (this.#receiving && this.#held.length === 0 && !this.#ending) this.#events?.onMessage(data, address);
    else this.#receive({ data: keepable(data), address });
  }

  /** The host has taken it, in a way: there is nothing to wait for. */
  #failed(errno: number, address: SocketAddress | null): boolean {
    const error = systemError(errno, 'send', address ?? this.#info.peername);
    hostNextTick(() => {
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

/** Not written to. */
const NOTHING: Datagram[] = [];
const EAGAIN = -11;
const EFAULT = -14;
