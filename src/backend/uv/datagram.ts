/** UDP sockets as raw datagram sockets. */

import type { SocketAddress } from '../../base/address.ts';
import { AF_INET } from '../../base/constants.ts';
import { hostNextTick } from '../../base/host.ts';
import { UnusableError } from '../../base/unusable.ts';
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
import { gatherDatagram, sendGathered } from './outbox.ts';
import { UvSystemSocket } from './sockets.ts';
import { familyOf } from './stream.ts';

/** The step in native/src/datagram.c that failed. */
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

/** Returns an id or an error. */
function open({ family, local, remote, socket, reusePort, broadcast }: DatagramTarget): Id {
  if (socket !== null && socket !== undefined) {
    const id = isDescriptor(socket) ? addon().datagramOpen(socket) : -1;
    if (id < 0) throw new UnusableError(socket, 'a dgram.Socket, or the descriptor of a UDP socket');
    return id;
  }
  const from = packed(local ?? (family === AF_INET ? ['0.0.0.0', 0] : ['::', 0, 0, 0]));
  const to = remote === null ? null : packed(remote);
  if (typeof from === 'number') return from;
  if (typeof to === 'number') return to;
  return addon().datagram(family, from, to, reusePort, broadcast);
}

/**
 * A UDP socket of the native part.
 *
 * Linux reports a refused datagram at the next call that receives or sends. The native part holds at most one
 * pending datagram: after `send()` returned false, the caller sends nothing before `onSent`.
 */
class UvDatagram implements RawDatagram, SocketControl, Target, Sender {
  readonly id: Id;
  readonly #info: StreamInfo;
  #events: DatagramEvents | null = null;
  #ending: boolean = false;
  #closed: boolean = false;
  /** Datagrams of the last batch that the kernel had no room for. */
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
    const errno = addon().receiveStart(this.id);
    if (errno < 0) hostNextTick(() => this.#reportError(systemError(errno, 'recvmsg')));
  }

  receiveStop(): void {
    if (!this.#ending) addon().receiveStop(this.id);
  }

  gather(data: Uint8Array, address: SocketAddress | null): boolean {
    return !this.#ending && gatherDatagram(this, data, address);
  }

  flush(): Datagram[] {
    sendGathered();
    const unsent = this.#unsent;
    this.#unsent = NOTHING;
    return unsent;
  }

  send(data: Uint8Array, address: SocketAddress | null): boolean {
    const native = addon();
    // First send the datagrams that were gathered before, to keep the order.
    sendGathered();
    const to = address === null ? null : packed(address);
    if (typeof to === 'number') return this.#failed(to, address);
    const errno = native.trySend(this.id, data, to);
    if (errno === 0) return true;
    // The native part sends it when the kernel has room.
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
    // Send the batch first: its datagrams were queued before the close, and need the socket.
    sendGathered();
    this.#ending = true;
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

  onEvent(kind: number, a: number, b: number, c: number): void {
    switch (kind) {
      case MESSAGE:
        this.#onMessage(a, b, c);
        return;
      case ERROR:
        this.#reportError(systemError(a, 'recvmsg', this.#info.peername));
        return;
      case SENT:
        if (!this.#ending) this.#events?.onSent(a < 0 ? systemError(a, 'send', this.#info.peername) : null);
    }
  }

  #onMessage(slot: number, offset: number, length: number): void {
    const data = slice(slot, offset + ADDRESS_BYTES, length);
    if (data === null) this.#reportError(systemError(EFAULT, 'recvmsg'));
    else if (!this.#ending) this.#events?.onMessage(data, addressIn(slabOf(slot), offset));
  }

  /** Reports a failure later. Returns true, because there is nothing to wait for. */
  #failed(errno: number, address: SocketAddress | null): boolean {
    const error = systemError(errno, 'send', address ?? this.#info.peername);
    hostNextTick(() => {
      // Also report a failure that came before the close.
      if (!this.#closed) this.#events?.onError(error);
    });
    return true;
  }

  #reportError(error: Error): void {
    if (!this.#ending) this.#events?.onError(error);
  }
}

/** Shared by all sockets: never modify it. */
const NOTHING: Datagram[] = [];
const EAGAIN = -11;
const EFAULT = -14;
