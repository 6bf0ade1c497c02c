/** UDP sockets of a simulated host as raw datagram sockets. */
import type { SocketAddress } from '../../../base/address.ts';
import { AF_INET6 } from '../../../base/constants.ts';
import { LoopError } from '../../../base/errors.ts';
import { invalidArgType } from '../../../base/validate.ts';
import type {
  DatagramEvents,
  DatagramOpenEvents,
  Datagrams,
  DatagramTarget,
  DetachableSocket,
  RawDatagram,
  RawRequest,
  SocketControl,
  StreamInfo,
  SystemSocket,
} from '../../backend.ts';
import type { SimHost } from '../host.ts';
import type { UdpStack } from '../inet/udp.ts';
import type { DatagramSocket } from '../kernel-sockets.ts';
import type { Descriptors } from '../machine/descriptors.ts';
import { OpenSocket } from './open-socket.ts';
import { SimSystemSocket } from './socket.ts';

export class SimDatagrams implements Datagrams {
  readonly #host: SimHost;
  readonly #kernel: UdpStack;
  readonly #descriptors: Descriptors;

  constructor(host: SimHost, kernel: UdpStack, descriptors: Descriptors) {
    this.#host = host;
    this.#kernel = kernel;
    this.#descriptors = descriptors;
  }

  open(target: DatagramTarget, events: DatagramOpenEvents): RawRequest {
    const isAdopted = target.socket !== null && target.socket !== undefined;
    const opened = isAdopted ? this.#adopt(target.socket) : this.#open(target);
    let wanted = true;
    this.#host.soon(() => {
      if (!wanted) return;
      if (opened instanceof Error) events.onError(opened);
      else events.onOpen(opened);
    });
    return {
      cancel: () => {
        wanted = false;
        if (!(opened instanceof Error)) opened.close();
      },
    };
  }

  #open({ family, local, remote, reusePort, broadcast }: DatagramTarget): SimDatagram | Error {
    const socket = this.#kernel.open(family);
    socket.options.broadcast = broadcast;
    try {
      const address = local ?? (family === AF_INET6 ? ANY_IPV6 : ANY_IPV4);
      const needsBind = local !== null || remote === null;
      if (needsBind) socket.bind(address, { reuseAddress: false, reusePort, ipv6Only: false });
      if (remote !== null) socket.connect(remote);
      const fd = this.#descriptors.open(OpenSocket.ofDatagrams(socket), 'socket', true);
      return new SimDatagram(this.#host, socket, this.#descriptors, fd);
    } catch (error) {
      socket.close();
      return error as Error;
    }
  }

  /** Takes over a socket that a program has bound. */
  #adopt(given: unknown): SimDatagram {
    const fd = isDetachable(given) ? given.fileno() : given;
    const object = typeof fd === 'number' ? this.#descriptors.find(fd) : null;
    const socket = object instanceof OpenSocket ? object.datagrams : null;
    if (socket === null || socket.sockname === null) {
      throw invalidArgType('sock', given, 'the descriptor of a bound datagram socket of this host');
    }
    this.#descriptors.setUsed(fd as number, true);
    if (isDetachable(given)) given.detach();
    return new SimDatagram(this.#host, socket, this.#descriptors, fd as number);
  }
}

function isDetachable(value: unknown): value is DetachableSocket {
  const { fileno, detach } = (value ?? {}) as Partial<DetachableSocket>;
  return typeof fileno === 'function' && typeof detach === 'function';
}

const ANY_IPV4: SocketAddress = ['0.0.0.0', 0];
const ANY_IPV6: SocketAddress = ['::', 0, 0, 0];

/**
 * It delivers one datagram or error in each step, because the code that it resumes must run before the next.
 */
export class SimDatagram implements RawDatagram, SocketControl {
  readonly system: SystemSocket;
  readonly socket: DatagramSocket;
  readonly #host: SimHost;
  readonly #descriptors: Descriptors;
  readonly #fd: number;
  readonly #info: StreamInfo;
  readonly #guardedStep: () => void;
  #events: DatagramEvents | null = null;
  readonly #errors: Error[] = [];
  #receiving: boolean = false;
  #scheduled: boolean = false;
  #ending: boolean = false;
  #closed: boolean = false;

  constructor(host: SimHost, socket: DatagramSocket, descriptors: Descriptors, fd: number) {
    this.socket = socket;
    this.#host = host;
    this.#descriptors = descriptors;
    this.#fd = fd;
    this.system = new SimSystemSocket(descriptors, this);
    const { family, sockname, peername } = socket;
    this.#info = {
      family,
      sockname,
      peername,
      handle: this,
      direction: 'both',
      halfClose: false,
      extra: {},
    };
    this.#guardedStep = host.guarded(() => this.#step());
    socket.events = this;
  }

  open(events: DatagramEvents): void {
    this.#events = events;
    if (this.#closed || this.#errors.length > 0) this.#schedule();
  }

  receiveStart(): void {
    if (this.#ending) return;
    this.#receiving = true;
    if (this.socket.readable) this.#schedule();
  }

  receiveStop(): void {
    this.#receiving = false;
  }

  /** The kernel takes each datagram at once. The network may lose it. */
  send(data: Uint8Array, address: SocketAddress | null): boolean {
    if (this.#ending) return true;
    try {
      this.socket.send(data, address);
    } catch (error) {
      this.onError(error as Error);
    }
    return true;
  }

  close(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#receiving = false;
    this.socket.events = null;
    // The host may have crashed meanwhile, which has closed all descriptors.
    if (this.#descriptors.find(this.#fd) !== null) this.#descriptors.close(this.#fd);
    this.#schedule();
  }

  info(): StreamInfo {
    return this.#info;
  }

  fileno(): number {
    return this.#ending ? -1 : this.#fd;
  }

  setNoDelay(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setNoDelay() is for TCP only: UDP sends every datagram at once');
  }

  setKeepAlive(): void {
    throw new LoopError('ERR_UNSUPPORTED', 'setKeepAlive() is for TCP only: UDP has no connection to probe');
  }

  // --- events of the kernel ---

  onReadable(): void {
    if (this.#receiving) this.#schedule();
  }

  onWritable(): void {}

  onError(error: Error): void {
    this.#errors.push(error);
    this.#schedule();
  }

  // --- steps ---

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#host.timeline.soon(this.#guardedStep, this.#host.ioOwner);
  }

  #step(): void {
    this.#scheduled = false;
    const events = this.#events;
    if (events === null) {
      this.#closed = this.#ending;
      return;
    }
    const error = this.#errors.shift();
    if (error !== undefined) {
      this.#schedule();
      events.onError(error);
    } else if (this.#ending) {
      this.#closed = true;
      this.#events = null;
      events.onClose(null);
    } else if (this.#receiving) {
      const datagram = this.socket.receive();
      if (datagram === null) return;
      if (this.socket.readable) this.#schedule();
      events.onMessage(datagram.data as Buffer, datagram.address);
    }
  }
}
