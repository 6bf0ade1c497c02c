/**
 * The native backend: streams, listeners, datagrams, pipes, subprocesses, names and TLS in C, on Node's own
 * libuv loop (native/).
 *
 * The node backend provides the rest: time, signals, files, sockets and streams
 * of Node's own, and devices that only a thread can read.
 */
import { LoopError } from '../../base/errors.ts';
import { UnusableError } from '../../base/unusable.ts';
import type {
  DatagramOpenEvents,
  Datagrams,
  DatagramTarget,
  Descriptors,
  DetachableSocket,
  ListenEvents,
  ListenTarget,
  Names,
  Pipes,
  Polling,
  Processes,
  RawListener,
  RawRequest,
  RawStream,
  Sockets,
  SpawnEvents,
  SpawnTarget,
  StreamSockets,
  Tls,
  UnixSockets,
} from '../backend.ts';
import { openDatagram as openNodeDatagram } from '../node/datagram.ts';
import { NodeBackend, nodeStreams } from '../node/index.ts';
import { openPipe as openNodePipe } from '../node/pipe.ts';
import { spawnProcess as spawnNodeProcess } from '../node/process.ts';
import { adoptSocket, isSocket } from '../node/stream.ts';
import { fileAt, removeFile } from '../shared/unix-path.ts';
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
import { uvTls } from './tls/engine.ts';

export class UvBackend extends NodeBackend {
  override readonly name: string = 'uv';
  override readonly reusePort: boolean = true;
  override readonly abstractUnix: boolean = true;
  override readonly fileno: boolean = true;
  override readonly tcp: StreamSockets = {
    connect: connectSocket,
    listen,
    adopt,
  };
  override readonly unix: UnixSockets = { ...this.tcp, fileAt, removeFile };
  override readonly pipes: Pipes = { open: takePipe };
  override readonly datagrams: Datagrams = { open: takeDatagram };
  override readonly names: Names = { resolve: resolveName, nameOf };
  override readonly processes: Processes = { spawn };
  override readonly descriptors: Descriptors = { isUsed: (fd) => addon().usesDescriptor(fd) };
  readonly #polls: UvPolls = new UvPolls();
  override readonly polling: Polling = { poll: (fd, onReady) => this.#polls.add(fd, onReady) };
  override readonly sockets: Sockets = { open: openSocket };
  override readonly tls: Tls = uvTls;

  constructor() {
    super(soon);
    const missing = load();
    if (missing !== null) throw new LoopError('ERR_UNSUPPORTED', missing.reason);
  }

  override close(): void {
    this.#polls.close();
    super.close();
  }
}

function listen(target: ListenTarget, events: ListenEvents): RawListener {
  const { address } = target;
  const socket = address === null ? descriptorOf(target.socket) : null;
  // The node backend serves a server object of Node's own.
  if (address === null && !(isDescriptor(socket) && isSocket(socket)))
    return nodeStreams.listen(target, events);
  const listener = new UvListener({ ...target, socket }, events);
  if (address === null && listener.fileno() >= 0) detach(target.socket);
  return listener;
}

function adopt(socket: unknown): RawStream {
  const fd = descriptorOf(socket);
  if (!isDescriptor(fd)) return adoptSocket(fd);
  const id = addon().openConnected(fd);
  if (id < 0) throw new UnusableError(socket, 'the descriptor of a connected stream socket');
  detach(socket);
  return new UvStream(id);
}

function takePipe(pipe: unknown, direction: 'read' | 'write'): RawStream {
  const opened = openPipe(pipe, descriptorOf(pipe), direction);
  if (opened === null) return openNodePipe(pipe, direction);
  detach(pipe);
  return opened;
}

function takeDatagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest {
  const socket = descriptorOf(target.socket);
  // The node backend serves a socket object of Node's own.
  if (typeof socket === 'object' && socket !== null) return openNodeDatagram(target, events);
  const opened = openDatagram({ ...target, socket }, events);
  detach(target.socket);
  return opened;
}

let hasPidfd: boolean | null = null;

function spawn(target: SpawnTarget, events: SpawnEvents): RawRequest {
  hasPidfd ??= addon().hasPidfd();
  const native = hasPidfd && !target.stdio.some(({ kind }) => kind === 'stream');
  return native ? spawnProcess(target, events) : spawnNodeProcess(target, events);
}

/**
 * Returns null if the native backend works; otherwise the reason, and whether the user should learn of it.
 */
export function whyNoNativeBackend(): { reason: string; broken: boolean } | null {
  return load();
}

/** Returns the descriptor of a socket that gyre opened, and any other value as it is. */
function descriptorOf(socket: unknown): unknown {
  return isDetachable(socket) ? socket.fileno() : socket;
}

function isDetachable(socket: unknown): socket is DetachableSocket {
  const { fileno, detach: give } = (socket ?? {}) as Partial<DetachableSocket>;
  return typeof fileno === 'function' && typeof give === 'function';
}

/** A handle owns the descriptor from now on. */
function detach(socket: unknown): void {
  if (isDetachable(socket)) socket.detach();
}
