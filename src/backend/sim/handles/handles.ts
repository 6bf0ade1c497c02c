/**
 * The raw handles of a loop on a simulated host, with their descriptors: streams, listeners, pipes, and the
 * sockets and pipes that a program hands over.
 */
import { IPPROTO_TCP, SO_KEEPALIVE, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY } from '../../../base/constants.ts';
import { InvalidStateError } from '../../../base/errors.ts';
import { UnusableError } from '../../../base/unusable.ts';
import type {
  DetachableSocket,
  ListenEvents,
  ListenTarget,
  RawListener,
  RawPoll,
  RawStream,
  SocketControl,
  StreamSockets,
  SystemSocket,
  UnixSockets,
} from '../../backend.ts';
import type { Channel } from '../channel.ts';
import type { SimHost } from '../host.ts';
import { TcpOptions } from '../inet/tcp-options.ts';
import type { Acceptor, StreamKernel } from '../kernel-sockets.ts';
import { LocalListener } from '../local/local-listener.ts';
import type { LocalSockets } from '../local/local-sockets.ts';
import type { Descriptors } from '../machine/descriptors.ts';
import { connectStream } from './connect.ts';
import type { ListenerDescriptor, ListenerParts } from './listener.ts';
import { SimListener } from './listener.ts';
import { OpenPipe } from './open-pipe.ts';
import { OpenSocket } from './open-socket.ts';
import { SimPoll } from './poll.ts';
import { SimSystemSocket } from './socket.ts';
import { SimStream } from './stream.ts';

/** The handles of one loop. The descriptors are those of its host. */
export class Handles {
  readonly #host: SimHost;
  readonly #descriptors: Descriptors;

  constructor(host: SimHost, descriptors: Descriptors) {
    this.#host = host;
    this.#descriptors = descriptors;
  }

  // --- sockets ---

  /** TCP. */
  streams(kernel: StreamKernel): StreamSockets {
    return {
      connect: (target, events) => connectStream(this.#host, kernel, target, events, this.wrap),
      listen: (target, events) =>
        this.#listenTo(kernel, target, events) ??
        new SimListener(this.#host, kernel, this.parts, target, events),
      adopt: (socket) => this.#adopt(socket),
    };
  }

  /** Unix sockets, whose listeners also care for their files. */
  localStreams(kernel: LocalSockets): UnixSockets {
    return {
      ...this.streams(kernel),
      fileAt: (path) => kernel.fileAt(path),
      removeFile: (path, identity) => kernel.removeFile(path, identity),
      listen: (target, events) =>
        this.#listenTo(kernel, target, events) ??
        new LocalListener(this.#host, kernel, this.parts, target, events),
    };
  }

  /** Makes the raw stream of a new connection. Throws the system's error if there is no descriptor for it. */
  readonly wrap = (channel: Channel): RawStream => {
    const socket = OpenSocket.ofChannel(channel);
    return this.#stream(channel, this.#descriptors.open(socket, 'accept', true));
  };

  readonly parts: ListenerParts = {
    wrap: this.wrap,
    describe: (acceptor) =>
      this.#listenerDescriptor(this.#descriptors.open(OpenSocket.ofAcceptor(acceptor), 'listen', true)),
  };

  #stream(channel: Channel, fd: number): RawStream {
    if (channel.options instanceof TcpOptions) channel.options.setNoDelay(true);
    return new SimStream(this.#host, channel, {
      direction: 'both',
      halfClose: true,
      handle: new Control(this.#descriptors, channel, fd),
      extra: {},
      onReleased: () => this.#close(fd),
    });
  }

  #listenerDescriptor(fd: number): ListenerDescriptor {
    const owner = { fileno: () => fd };
    return {
      ...owner,
      system: new SimSystemSocket(this.#descriptors, owner),
      close: () => this.#close(fd),
    };
  }

  /** Takes over a socket that a program has opened. Returns null if the target has an address instead. */
  #listenTo(kernel: StreamKernel, target: ListenTarget, events: ListenEvents): RawListener | null {
    if (target.address !== null) return null;
    const fd = this.#descriptorOf(target.socket);
    const object = fd === null ? null : this.#descriptors.find(fd);
    const isListener = object instanceof OpenSocket && object.type === SOCK_STREAM && object.channel === null;
    if (fd === null || !isListener) {
      throw new UnusableError(target.socket, 'the descriptor of a listening socket of this host');
    }
    object.listen(target.backlog);
    this.#take(fd, target.socket);
    const parts = { ...this.parts, describe: () => this.#listenerDescriptor(fd) };
    return new SimListener(this.#host, kernel, parts, target, events, object.acceptor as Acceptor);
  }

  #adopt(socket: unknown): RawStream {
    const fd = this.#descriptorOf(socket);
    const object = fd === null ? null : this.#descriptors.find(fd);
    const channel = object instanceof OpenSocket ? object.channel : null;
    if (fd === null || channel === null) {
      throw new UnusableError(socket, 'the descriptor of a connected stream socket of this host');
    }
    this.#take(fd, socket);
    const stream = this.#stream(channel, fd);
    (object as OpenSocket).handleOpened();
    return stream;
  }

  // --- pipes ---

  openPipe(pipe: unknown, direction: 'read' | 'write'): RawStream {
    const fd = this.#descriptorOf(pipe);
    const object = fd === null ? null : this.#descriptors.find(fd);
    const channel = object instanceof OpenSocket || object instanceof OpenPipe ? object.channel : null;
    const fits =
      object instanceof OpenSocket || (object instanceof OpenPipe && object.direction === direction);
    if (fd === null || channel === null || !fits) {
      throw new UnusableError(pipe, `the descriptor of a pipe of this host, to ${direction}`);
    }
    if (this.#descriptors.isUsed(fd)) {
      throw new InvalidStateError(`descriptor ${fd} belongs to a transport or server`);
    }
    this.#take(fd, pipe);
    return this.pipeStream(channel, direction, fd, { pipe });
  }

  /** Makes the raw stream of a pipe whose descriptor the stream owns. */
  pipeStream(
    channel: Channel,
    direction: 'read' | 'write',
    fd: number,
    extra: Readonly<Record<string, unknown>>,
  ): RawStream {
    return new SimStream(this.#host, channel, {
      direction,
      // The write end of a pipe is ended by closing it.
      halfClose: direction === 'write',
      handle: null,
      extra,
      onReleased: () => this.#close(fd),
    });
  }

  // --- readiness ---

  poll(fd: number, onReady: (readable: boolean, writable: boolean) => void): RawPoll {
    return new SimPoll(this.#host, this.#descriptors, fd, onReady);
  }

  // --- internal steps ---

  /** Returns the descriptor of a number or a `Socket`; null for any other value. */
  #descriptorOf(value: unknown): number | null {
    const fd = isDetachable(value) ? value.fileno() : value;
    return typeof fd === 'number' && Number.isInteger(fd) && fd >= 0 ? fd : null;
  }

  #take(fd: number, given: unknown): void {
    this.#descriptors.setUsed(fd, true);
    if (isDetachable(given)) given.detach();
  }

  /** The host may have crashed meanwhile, which has closed all descriptors. */
  #close(fd: number): void {
    if (this.#descriptors.find(fd) !== null) this.#descriptors.close(fd);
  }
}

function isDetachable(value: unknown): value is DetachableSocket {
  const { fileno, detach } = (value ?? {}) as Partial<DetachableSocket>;
  return typeof fileno === 'function' && typeof detach === 'function';
}

/** The socket of a stream, for `TransportSocket`. */
class Control implements SocketControl {
  readonly system: SystemSocket;
  readonly #channel: Channel;
  readonly #descriptors: Descriptors;
  readonly #fd: number;

  constructor(descriptors: Descriptors, channel: Channel, fd: number) {
    this.#descriptors = descriptors;
    this.#channel = channel;
    this.#fd = fd;
    this.system = new SimSystemSocket(descriptors, this);
  }

  /** -1 after the close, when the number may belong to another socket. */
  fileno(): number {
    const object = this.#descriptors.find(this.#fd);
    return object instanceof OpenSocket && object.channel === this.#channel ? this.#fd : -1;
  }

  setNoDelay(on: boolean): void {
    const { options } = this.#channel;
    if (options instanceof TcpOptions) options.set(IPPROTO_TCP, TCP_NODELAY, Number(on));
  }

  setKeepAlive(on: boolean, delaySeconds: number): void {
    const { options } = this.#channel;
    if (options instanceof TcpOptions) options.setKeepAlive(on, delaySeconds);
    else options?.set(SOL_SOCKET, SO_KEEPALIVE, Number(on));
  }
}
