/** A socket of `node:dgram` as a raw socket for datagrams. */

import type { RemoteInfo, SocketOptions } from 'node:dgram';
import { createSocket, Socket } from 'node:dgram';
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET, AF_INET6 } from '../../base/constants.ts';
import { LoopError } from '../../base/errors.ts';
import { hostNextTick } from '../../base/host.ts';
import { RingQueue } from '../../base/ring-queue.ts';
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
import { toHost, toSocketAddress } from './scope.ts';

/** Bytes. What comes while nobody receives waits up to here: about what Linux keeps for a socket. */
const HELD_LIMIT_BYTES = 256 * 1024;
/**
 * Bytes. What a datagram that waits costs beside its data, so that empty ones do not wait without end,
 * either.
 */
const HELD_COST_BYTES = 512;

/** Sockets that a `NodeDatagram` has: one that is given away twice would tell both what comes. */
const taken: WeakSet<Socket> = new WeakSet();

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
 * Facts. `bind()` and `connect()` look names up, and so does each `send()`. With a `lookup` that answers at
 * once they are done, or have failed, before they return; and `bind()` says so from within.
 */
class Opening implements RawRequest {
  readonly #socket: Socket;
  readonly #target: DatagramTarget;
  readonly #events: DatagramOpenEvents;
  #answer: RawRequest | null = null;

  constructor(target: DatagramTarget, events: DatagramOpenEvents) {
    this.#target = target;
    this.#events = events;
    this.#socket = createSocket(socketOptions(target));
    this.#socket.on('error', this.#fail);
    this.#socket.once('listening', this.#bound);
    const { local } = target;
    // Exclusive: a cluster would share the port among its workers.
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

  // The type does not say so, but a failure comes here and nowhere else.
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
    // It may have been closed when it failed.
    attempt(() => this.#socket.close());
  }
}

const NOTHING: RawRequest = { cancel: () => {} };

/** Calls `tell` from the host, unless it is given up before. */
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
    // Only literal addresses come here, and those need not be asked for.
    lookup: (host, _options, callback) => callback(null, host, v6 ? 6 : 4),
  };
  if (reusePort) options.reusePort = true;
  return options;
}

/**
 * Facts. A socket of Node's cannot be told to receive nothing: what comes meanwhile waits here, as it would
 * in the kernel. With a `lookup` of its own, a send is tried at once, and the queue of the handle says
 * whether the kernel has taken it. A socket that was made elsewhere looks even a literal address up, and
 * sends in a tick.
 */
export class NodeDatagram implements RawDatagram, SocketControl {
  readonly #socket: Socket;
  readonly #info: StreamInfo;
  /** A send has been tried when it returns. */
  readonly #sendsAtOnce: boolean;
  /** Of a connected socket: where all comes from. What came before it was connected may be from anybody. */
  readonly #peer: { address: string; port: number } | null;
  #events: DatagramEvents | null = null;
  #receiving: boolean = false;
  readonly #held: RingQueue<Received> = new RingQueue();
  #heldBytes: number = 0;
  #ending: boolean = false;
  #closed: boolean = false;

  /** @param own made here, with a `lookup` that answers at once */
  constructor(socket: Socket, own: boolean) {
    this.#socket = socket;
    taken.add(socket);
    // The loop keeps the process alive while it runs, and not a moment longer; its sockets do not.
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
    // Node keeps what the kernel refuses, and its owner may give the memory away meanwhile.
    const copy = new Uint8Array(data);
    try {
      if (address === null) socket.send(copy, done);
      else socket.send(copy, address[1] as number, toHost(address), done);
      if (this.#sendsAtOnce) waits = (socket.getSendQueueCount?.() ?? 1) > 0;
      return !waits;
    } catch (error) {
      // The socket was closed behind our back, and what is sent after that is dropped: its end is on the way.
      if (attempt(() => socket.address()) === null) return true;
      throw error;
    }
  }

  close(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#held.clear();
    // It is closed already where somebody else has done so.
    attempt(() => this.#socket.close());
  }

  info(): StreamInfo {
    return this.#info;
  }

  fileno(): number {
    return -1;
  }

  setNoDelay(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setNoDelay(): that is of TCP; every datagram is sent at once');
  }

  setKeepAlive(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setKeepAlive(): that is of TCP; UDP has no connection to probe');
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

  /** Node tells a tick after the send; what was closed in between has failed all the same. */
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

  /** Node does not say which address it was, where the socket has but one. */
  #withPeer(error: Error): Error {
    return this.#peer === null ? error : Object.assign(error, this.#peer);
  }
}

type Received = { data: Buffer; address: SocketAddress } | { error: Error };

function costOf(received: Received): number {
  return HELD_COST_BYTES + ('data' in received ? received.data.length : 0);
}

function adoptSocket(socket: unknown): NodeDatagram {
  if (!(socket instanceof Socket)) throw invalidArgType('sock', socket, 'a dgram.Socket');
  if (taken.has(socket)) throw invalidArgType('sock', socket, 'a socket that no other endpoint has');
  if (attempt(() => socket.address()) === null) {
    throw invalidArgType('sock', socket, 'a socket that is bound and open');
  }
  return new NodeDatagram(socket, false);
}

function peerOf(socket: Socket): { address: string; port: number } | null {
  const remote = attempt(() => socket.remoteAddress());
  return remote === null ? null : { address: remote.address, port: remote.port };
}

/** Node answers some questions by throwing. */
function attempt<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch {
    return null;
  }
}
