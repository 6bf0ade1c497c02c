/** Datagram endpoints over real sockets, and a recording protocol. */
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import type {
  BaseEventLoop,
  DatagramOptions,
  DatagramProtocol,
  DatagramTransport,
  SocketAddress,
} from '../../src/index.ts';
import { Recording } from './recording.ts';

/** A protocol that records its calls: `made`, `datagram`, `error`, `pause`, `resume`, `lost`. */
export class DatagramRecorder extends Recording implements DatagramProtocol {
  readonly datagrams: Buffer[] = [];
  /** The sender of each datagram. */
  readonly senders: SocketAddress[] = [];
  readonly errors: NodeJS.ErrnoException[] = [];
  /** The argument of `connectionLost`; undefined before. */
  exception: Error | null | undefined = undefined;
  #transport: DatagramTransport | null = null;

  get transport(): DatagramTransport {
    if (this.#transport === null) throw new Error('no endpoint was opened yet');
    return this.#transport;
  }

  /** The datagrams as text. */
  get texts(): string[] {
    return this.datagrams.map(String);
  }

  get codes(): (string | undefined)[] {
    return this.errors.map(({ code }) => code);
  }

  get lost(): boolean {
    return this.exception !== undefined;
  }

  connectionMade(transport: DatagramTransport): void {
    this.#transport = transport;
    this.note('made');
  }

  datagramReceived(data: Buffer, address: SocketAddress): void {
    this.datagrams.push(data);
    this.senders.push(address);
    this.note('datagram');
  }

  errorReceived(exception: Error): void {
    this.errors.push(exception);
    this.note('error');
  }

  pauseWriting(): void {
    this.note('pause');
  }

  resumeWriting(): void {
    this.note('resume');
  }

  connectionLost(exception: Error | null): void {
    this.exception = exception;
    this.note('lost');
  }

  async untilReceived(datagrams: number): Promise<void> {
    await this.untilTold('datagram', datagrams);
  }

  untilLost(): Promise<void> {
    return this.until(() => this.lost);
  }
}

/** Opens an endpoint with a recorder. */
export async function endpoint(loop: BaseEventLoop, options: DatagramOptions): Promise<DatagramRecorder> {
  const [, recorder] = await loop.createDatagramEndpoint(() => new DatagramRecorder(), options);
  return recorder;
}

/** Returns the address of an endpoint. */
export function addressOf({ transport }: DatagramRecorder): readonly [host: string, port: number] {
  const [host, port] = transport.getExtraInfo('sockname') as readonly [string, number];
  return [host, port];
}

/** Opens an endpoint at a free port, and one that is connected to it. */
export async function endpointPair(
  loop: BaseEventLoop,
  host: string = '127.0.0.1',
): Promise<{ near: DatagramRecorder; far: DatagramRecorder }> {
  const far = await endpoint(loop, { localAddr: [host, 0] });
  const near = await endpoint(loop, { remoteAddr: addressOf(far) });
  return { near, far };
}

/** Closes them, and waits for connectionLost(). */
export async function endAll(...recorders: DatagramRecorder[]): Promise<void> {
  for (const recorder of recorders) {
    recorder.transport.close();
    await recorder.untilLost();
  }
}

/** Opens a socket of Node's own, bound to a free port. */
export async function nodeSocket(
  host: string = '127.0.0.1',
  options: { reuseAddr?: boolean } = {},
): Promise<Socket> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', ...options });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, host, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
  return socket;
}

/** Returns a port without a receiver: taken from the system, and given back. */
export async function freeUdpPort(host: string = '127.0.0.1'): Promise<number> {
  const socket = await nodeSocket(host);
  const { port } = socket.address();
  await closedSocket(socket);
  return port;
}

export function closedSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.close(() => resolve());
  });
}
