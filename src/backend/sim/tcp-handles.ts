/** TCP sockets of a simulated host as raw handles. */
import { invalidArgType } from '../../base/validate.ts';
import type {
  ConnectEvents,
  ConnectTarget,
  ListenEvents,
  ListenTarget,
  RawListener,
  RawRequest,
  RawStream,
  SocketControl,
  StreamSockets,
} from '../backend.ts';
import type { Channel } from './channel.ts';
import { connectStream } from './connect.ts';
import type { Kernel } from './kernel.ts';
import { SimListener } from './listener.ts';
import { SimStream } from './stream.ts';
import type { TcpConnection } from './tcp-connection.ts';

export class SimTcp implements StreamSockets {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  connect(target: ConnectTarget, events: ConnectEvents): RawRequest {
    const { host, network } = this.#kernel;
    return connectStream(host, network.tcp, target, events, this.#wrap);
  }

  listen(target: ListenTarget, events: ListenEvents): RawListener {
    const { host, network } = this.#kernel;
    return new SimListener(host, network.tcp, { wrap: this.#wrap }, target, events);
  }

  adopt(socket: unknown): RawStream {
    throw invalidArgType('sock', socket, 'a descriptor of a simulated socket');
  }

  #wrap = (channel: Channel): RawStream => tcpStream(this.#kernel, channel);
}

const NO_FACTS: Readonly<Record<string, unknown>> = {};

/** Makes the raw stream of a connection, which belongs to it from then on. */
export function tcpStream(kernel: Kernel, channel: Channel): RawStream {
  const connection = channel as TcpConnection;
  connection.options.setNoDelay(true);
  return new SimStream(kernel.host, channel, {
    direction: 'both',
    halfClose: true,
    handle: new TcpControl(connection),
    extra: NO_FACTS,
  });
}

class TcpControl implements SocketControl {
  readonly #connection: TcpConnection;

  constructor(connection: TcpConnection) {
    this.#connection = connection;
  }

  fileno(): number {
    return -1;
  }

  setNoDelay(on: boolean): void {
    if (!this.#connection.isOrphan) this.#connection.options.setNoDelay(on);
  }

  setKeepAlive(on: boolean, delaySeconds: number): void {
    if (!this.#connection.isOrphan) this.#connection.options.setKeepAlive(on, delaySeconds);
  }
}
