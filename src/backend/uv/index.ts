/**
 * The native backend: streams, listeners, datagrams, pipes, subprocesses and names in C, on Node's own libuv
 * loop (native/).
 *
 * The node backend provides the rest: time, TLS (there is no native TLS), signals, files, sockets and streams
 * of Node's own, and devices that only a thread can read.
 */
import type { AddressInfo } from '../../base/address.ts';
import { InvalidStateError, LoopError } from '../../base/errors.ts';
import { invalidArgType } from '../../base/validate.ts';
import type {
  BackendFeatures,
  ConnectEvents,
  ConnectTarget,
  DatagramOpenEvents,
  DatagramTarget,
  DetachableSocket,
  ListenEvents,
  ListenTarget,
  NameQuery,
  RawListener,
  RawPoll,
  RawRequest,
  RawSocket,
  RawStream,
  ResolveQuery,
  SocketTarget,
  SpawnEvents,
  SpawnTarget,
} from '../backend.ts';
import { NODE_FEATURES, NodeBackend } from '../node/index.ts';
import { isSocket } from '../node/stream.ts';
import { connectSocket } from './connect.ts';
import { openDatagram } from './datagram.ts';
import { isDescriptor } from './descriptor.ts';
import { addon, load, soon } from './dispatch.ts';
import { UvListener } from './listener.ts';
import { openPipe } from './pipe.ts';
import { UvPolls } from './poll.ts';
import { spawnProcess } from './process.ts';
import { nameOf, resolveName } from './resolver.ts';
import { openSocket } from './sockets.ts';
import { UvStream } from './stream.ts';

export class UvBackend extends NodeBackend {
  override readonly name: string = 'uv';
  override readonly features: BackendFeatures = {
    ...NODE_FEATURES,
    reusePort: true,
    fileno: true,
    abstractUnix: true,
    polling: true,
    sockets: true,
  };
  readonly #polls: UvPolls = new UvPolls();

  constructor() {
    super(soon);
    const missing = load();
    if (missing !== null) throw new LoopError('ERR_UNSUPPORTED', missing.reason);
  }

  override connect(target: ConnectTarget, events: ConnectEvents): RawRequest {
    return connectSocket(target, events);
  }

  override listen(target: ListenTarget, events: ListenEvents): RawListener {
    const { address } = target;
    const socket = address === null ? this.#descriptorOf(target.socket) : null;
    // The node backend serves a server object of Node's own.
    if (address === null && !(isDescriptor(socket) && isSocket(socket))) return super.listen(target, events);
    const listener = new UvListener({ ...target, socket }, events);
    if (address === null && listener.fileno() >= 0) detach(target.socket);
    return listener;
  }

  override datagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest {
    const socket = this.#descriptorOf(target.socket);
    // The node backend serves a socket object of Node's own.
    if (typeof socket === 'object' && socket !== null) return super.datagram(target, events);
    const opened = openDatagram({ ...target, socket }, events);
    detach(target.socket);
    return opened;
  }

  override resolve(
    query: ResolveQuery,
    onDone: (error: Error | null, found: AddressInfo[]) => void,
  ): RawRequest {
    return resolveName(query, onDone);
  }

  override nameOf(
    query: NameQuery,
    onDone: (error: Error | null, host: string, service: string) => void,
  ): RawRequest {
    return nameOf(query, onDone);
  }

  override spawn(target: SpawnTarget, events: SpawnEvents): RawRequest {
    const native = addon().hasPidfd() && !target.stdio.some(({ kind }) => kind === 'stream');
    return native ? spawnProcess(target, events) : super.spawn(target, events);
  }

  override adopt(socket: unknown): RawStream {
    const fd = this.#descriptorOf(socket);
    if (!isDescriptor(fd)) return super.adopt(fd);
    const id = addon().openConnected(fd);
    if (id < 0) throw invalidArgType('sock', socket, 'the descriptor of a connected stream socket');
    detach(socket);
    return new UvStream(id);
  }

  override openPipe(pipe: unknown, direction: 'read' | 'write'): RawStream {
    const opened = openPipe(pipe, this.#descriptorOf(pipe), direction);
    if (opened === null) return super.openPipe(pipe, direction);
    detach(pipe);
    return opened;
  }

  override poll(fd: number, onReady: (readable: boolean, writable: boolean) => void): RawPoll {
    return this.#polls.add(fd, onReady);
  }

  override usesDescriptor(fd: number): boolean {
    return addon().usesDescriptor(fd);
  }

  override socket(target: SocketTarget): RawSocket {
    return openSocket(target);
  }

  override close(): void {
    this.#polls.close();
    super.close();
  }

  /** Returns the descriptor of a socket that gyre opened, and any other value as it is. */
  #descriptorOf(socket: unknown): unknown {
    const fd = isDetachable(socket) ? socket.fileno() : socket;
    if (!isDescriptor(fd) || !this.#polls.has(fd)) return fd;
    throw new InvalidStateError(
      `descriptor ${fd} is still watched: remove its reader and writer, and end its sock…() calls, before a transport takes it over`,
    );
  }
}

/**
 * Returns null if the native backend works; otherwise the reason, and whether the user should learn of it.
 */
export function whyNoNativeBackend(): { reason: string; broken: boolean } | null {
  return load();
}

function isDetachable(socket: unknown): socket is DetachableSocket {
  const { fileno, detach: give } = (socket ?? {}) as Partial<DetachableSocket>;
  return typeof fileno === 'function' && typeof give === 'function';
}

/** A handle owns the descriptor from now on. */
function detach(socket: unknown): void {
  if (isDetachable(socket)) socket.detach();
}
