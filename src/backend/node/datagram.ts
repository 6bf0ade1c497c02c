/** A socket of `node:dgram` as a raw datagram socket. */

import type { RemoteInfo, Socket, SocketOptions } from 'node:dgram';
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6 } from '../../base/constants.ts';
import { hostNextTick } from '../../base/host.ts';
import { RingQueue } from '../../base/ring-queue.ts';
import { UnusableError } from '../../base/unusable.ts';
import { node } from '../../platform/node-modules.ts';
import type {
  DatagramEvents,
  DatagramOpenEvents,
  DatagramTarget,
  RawDatagram,
  RawRequest,
  SocketControl,
  StreamInfo,
} from '../backend.ts';
import { toHost, toSocketAddress } from './scope.ts';

/** Bytes of datagrams that wait while nobody receives: about the size of Linux's socket buffer. */
const HELD_LIMIT_BYTES = 256 * 1024;
/**
 * Bytes that each waiting datagram costs in addition to its data, so that empty datagrams are limited, too.
 */
const HELD_COST_BYTES = 512;

/** Sockets that a `NodeDatagram` owns. A second owner would receive the same datagrams. */
const owned: WeakSet<Socket> = new WeakSet();

export function openDatagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest {
  const { socket } = target;
  if (socket === null || socket === undefined) return new Opening(target, events);
  const adopted = adoptSocket(socket);
  return inATick(
    () => events.onOpen(adopted),
    () => adopted.close(),
  );
}

/**
 * `bind()` and `connect()` look up names, and so does each `send()`. With a synchronous `lookup` they have
 * succeeded or failed when they return, and `bind()` emits `listening` before it returns.
 */
class Opening implements RawRequest {
  readonly #socket: Socket;
  readonly #target: DatagramTarget;
  readonly #events: DatagramOpenEvents;
  #answer: RawRequest | null = null;

  constructor(target: DatagramTarget, events: DatagramOpenEvents) {
    this.#target = target;
    this.#events = events;
    this.#socket = node.dgram.createSocket(socketOptions(target));
    this.#socket.on('error', this.#fail);
    this.#socket.once('listening', this.#bound);
    const { local } = target;
    // Exclusive, because a cluster would share the port among its workers.
    const port = local === null ? 0 : (local[1] as number);
    this.#socket.bind({ port, exclusive: true, ...(local === null ? {} : { address: toHost(local) }) });
  }

  cancel(): void {
    this.#answer?.cancel();
    this.#answer = NOTHING;
    this.#end();
  }

  #bound = (): void => {
    const { broadcast, remote } = this.#target;
    try {
      if (broadcast) this.#socket.setBroadcast(true);
      if (remote === null) this.#opened();
      else this.#socket.connect(remote[1] as number, toHost(remote), this.#connected);
    } catch (error) {
      this.#fail(error as Error);
    }
  };

  // The type does not show it, but errors are reported here and nowhere else.
  #connected = (error?: Error): void => {
    if (error === undefined) this.#opened();
    else this.#fail(error);
  };

  #opened(): void {
    this.#answer ??= inATick(() => {
      this.#socket.removeListener('error', this.#fail);
      this.#events.onOpen(new NodeDatagram(this.#socket, true));
    });
  }

  #fail = (error: Error): void => {
    this.#answer ??= inATick(() => {
      this.#end();
      this.#events.onError(error);
    });
  };

  #end(): void {
    // The socket may be closed already, if it failed.
    attempt(() => this.#socket.close());
  }
}

const NOTHING: RawRequest = { cancel: () => {} };

/** Calls `tell` from the host, unless it is cancelled before. */
function inATick(tell: () => void, giveUp: () => void = () => {}): RawRequest {
  let wanted = true;
  hostNextTick(() => {
    if (wanted) tell();
  });
  return {
    cancel: () => {
      wanted = false;
      giveUp();
    },
  };
}

function socketOptions({ family, reusePort }: DatagramTarget): SocketOptions {
  const v6 = family === AF_INET6;
  const options: SocketOptions & { reusePort?: boolean } = {
    type: v6 ? 'udp6' : 'udp4',
    // Only literal addresses come here, so no look-up is necessary.
    lookup: (host, _options, callback) => callback(null, host, v6 ? 6 : 4),
  };
  if (reusePort) options.reusePort = true;
  return options;
}

/**
 * A datagram socket of Node cannot stop receiving, so datagrams that arrive meanwhile wait here, as they
 * would in the kernel. With a synchronous `lookup`, `send()` calls the kernel at once, and the send queue of
 * the handle shows whether the kernel accepted the datagram. A socket that was made elsewhere looks up even a
 * literal address, and sends in a later tick.
 */
export class NodeDatagram implements RawDatagram, SocketControl {
  readonly #socket: Socket;
  readonly #info: StreamInfo;
  /** `send()` has called the kernel when it returns. */
  readonly #sendsAtOnce: boolean;
  /**
   * The peer of a connected socket. Datagrams that arrived before the connect may come from other addresses.
   */
  readonly #peer: { address: string; port: number } | null;
  #events: DatagramEvents | null = null;
  #receiving: boolean = false;
  readonly #held: RingQueue<Received> = new RingQueue();
  #heldBytes: number = 0;
  #ending: boolean = false;
  #closed: boolean = false;

  /** @param own the socket was made here, with a synchronous `lookup` */
  constructor(socket: Socket, own: boolean) {
    this.#socket = socket;
    owned.add(socket);
    // Only a running loop keeps the process alive; its sockets do not.
    socket.unref();
    const { address, port, family } = socket.address();
    this.#peer = peerOf(socket);
    this.#sendsAtOnce = own || this.#peer !== null;
    this.#info = {
      family: family === 'IPv6' ? AF_INET6 : AF_INET,
      sockname: toSocketAddress(address, port),
      peername: this.#peer === null ? null : toSocketAddress(this.#peer.address, this.#peer.port),
      handle: this,
      direction: 'both',
      halfClose: false,
      extra: { rawSocket: socket },
    };
    socket.on('message', this.#onMessage);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  open(events: DatagramEvents): void {
    this.#events = events;
    if (this.#closed) hostNextTick(() => events.onClose(null));
  }

  receiveStart(): void {
    this.#receiving = true;
    if (this.#held.length > 0) hostNextTick(this.#release);
  }

  receiveStop(): void {
    this.#receiving = false;
  }

  send(data: Uint8Array, address: SocketAddress | null): boolean {
    const socket = this.#socket;
    let waits = !this.#sendsAtOnce;
    const done = (error?: Error | null): void => {
      const failure = error === undefined || error === null ? null : this.#withPeer(error);
      if (waits && !this.#ending) this.#events?.onSent(failure);
      else if (!waits && failure !== null) this.#sendFailed(failure);
    };
    // Node keeps data that the kernel refuses, and the owner may transfer the memory meanwhile.
    const copy = new Uint8Array(data);
    try {
      if (address === null) socket.send(copy, done);
      else socket.send(copy, address[1] as number, toHost(address), done);
      if (this.#sendsAtOnce) waits = (socket.getSendQueueCount?.() ?? 1) > 0;
      return !waits;
    } catch (error) {
      // The socket was closed by other code. Drop the datagram, as later ones; the close event will follow.
      if (attempt(() => socket.address()) === null) return true;
      throw error;
    }
  }

  close(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#held.clear();
    // The socket may be closed already by other code.
    attempt(() => this.#socket.close());
  }

  info(): StreamInfo {
    return this.#info;
  }

  fileno(): number {
    return -1;
  }

  #onMessage = (data: Buffer, { address, port }: RemoteInfo): void => {
    const peer = this.#peer;
    if (peer !== null && (peer.port !== port || peer.address !== address)) return;
    this.#receive({ data, address: toSocketAddress(address, port) });
  };

  #onError = (error: Error): void => {
    this.#receive({ error: this.#withPeer(error) });
  };

  #onClose = (): void => {
    this.#closed = true;
    this.#ending = true;
    this.#events?.onClose(null);
  };

  /**
   * Node reports a failure one tick after the send. It is reported even if the socket was closed meanwhile.
   */
  #sendFailed(error: Error): void {
    if (this.#ending && !this.#closed) this.#events?.onError(error);
    else this.#receive({ error });
  }

  #receive(received: Received): void {
    if (this.#ending) return;
    if (this.#receiving && this.#held.length === 0) {
      this.#tell(received);
      return;
    }
    const bytes = costOf(received);
    if (this.#heldBytes + bytes > HELD_LIMIT_BYTES) return;
    this.#heldBytes += bytes;
    this.#held.push(received);
  }

  #release = (): void => {
    while (this.#receiving && !this.#ending) {
      const received = this.#held.shift();
      if (received === undefined) return;
      this.#heldBytes -= costOf(received);
      this.#tell(received);
    }
  };

  #tell(received: Received): void {
    const events = this.#events as DatagramEvents;
    if ('error' in received) events.onError(received.error);
    else events.onMessage(received.data, received.address);
  }

  /** Adds the address to the error. Node leaves it out for a connected socket. */
  #withPeer(error: Error): Error {
    return this.#peer === null ? error : Object.assign(error, this.#peer);
  }
}

type Received = { data: Buffer; address: SocketAddress } | { error: Error };

function costOf(received: Received): number {
  return HELD_COST_BYTES + ('data' in received ? received.data.length : 0);
}

function adoptSocket(socket: unknown): NodeDatagram {
  if (!(socket instanceof node.dgram.Socket)) throw new UnusableError(socket, 'a dgram.Socket');
  if (owned.has(socket)) throw new UnusableError(socket, 'a socket that no other endpoint uses');
  if (attempt(() => socket.address()) === null) {
    throw new UnusableError(socket, 'a socket that is bound and open');
  }
  return new NodeDatagram(socket, false);
}

function peerOf(socket: Socket): { address: string; port: number } | null {
  const remote = attempt(() => socket.remoteAddress());
  return remote === null ? null : { address: remote.address, port: remote.port };
}

/** Some of Node's getters throw instead of returning null. */
function attempt<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch {
    return null;
  }
}
