/** TCP and UDP of simulated hosts for tests: connections without a loop, and a readable log of packets. */
import type { ChannelEvents } from '../../../src/backend/sim/channel.ts';
import type { TcpSegment } from '../../../src/backend/sim/fabric/packet.ts';
import { ACK, FIN, PSH, RST, SYN } from '../../../src/backend/sim/fabric/packet.ts';
import type { TcpConnection } from '../../../src/backend/sim/inet/tcp-connection.ts';
import type { TcpListener } from '../../../src/backend/sim/inet/tcp-listener.ts';
import type { Kernel } from '../../../src/backend/sim/kernel.ts';
import type { SocketAddress } from '../../../src/base/address.ts';
import type { Hosts } from './hosts.ts';

export const OPTIONS = { reuseAddress: true, reusePort: false, ipv6Only: true };

export const codeOf = (error: unknown): string | undefined => (error as { code?: string } | null)?.code;

/**
 * One line for each packet that is sent: the sender, flags, offset and length of the data, and the window.
 */
export class Wire {
  readonly lines: string[] = [];
  readonly times: number[] = [];
  readonly segments: TcpSegment[] = [];

  constructor(hosts: Hosts) {
    const first = new Map<string, number>();
    hosts.fabric.taps.push((packet, from) => {
      this.times.push(hosts.timeline.time());
      if (packet.protocol !== 'tcp') {
        this.lines.push(`${from.name} ${packet.protocol}`);
        return;
      }
      this.segments.push(packet);
      const flow = `${packet.source}:${packet.sourcePort}`;
      if ((packet.flags & SYN) !== 0) first.set(flow, packet.seq);
      else if (!first.has(flow)) first.set(flow, packet.seq - 1);
      const offset = (packet.seq - (first.get(flow) as number)) >>> 0;
      const data = packet.data.length === 0 ? '' : ` ${offset}+${packet.data.length}`;
      this.lines.push(`${from.name} ${flagsOf(packet.flags)}${data}`);
    });
  }

  /** Returns the lines since the last call. */
  take(): string[] {
    this.times.length = 0;
    this.segments.length = 0;
    return this.lines.splice(0);
  }

  takeTimes(): number[] {
    const times = this.times.map((time) => Math.round(time * 1e6) / 1e6);
    this.take();
    return times;
  }
}

function flagsOf(flags: number): string {
  const names: [number, string][] = [
    [SYN, 'SYN'],
    [FIN, 'FIN'],
    [RST, 'RST'],
    [PSH, 'PSH'],
    [ACK, 'ACK'],
  ];
  return names.flatMap(([flag, name]) => ((flags & flag) === 0 ? [] : [name])).join(' ');
}

/** Records events and data of a connection, and reads it. */
export class Peer implements ChannelEvents {
  readonly connection: TcpConnection;
  readonly chunks: Uint8Array[] = [];
  error: string | null = null;
  ended: boolean = false;
  reads: boolean = true;
  writable: number = 0;

  constructor(connection: TcpConnection, reads: boolean = true) {
    this.connection = connection;
    this.reads = reads;
    connection.events = this;
    this.onReadable();
  }

  onReadable(): void {
    if (!this.reads) return;
    for (let data = this.connection.read(65_536); data !== null; data = this.connection.read(65_536)) {
      this.chunks.push(data);
    }
    if (this.connection.ended) this.ended = true;
  }

  onWritable(): void {
    this.writable++;
  }

  onError(error: Error): void {
    this.error = codeOf(error) ?? error.message;
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

export function listen(kernel: Kernel, address: SocketAddress, backlog: number = 128): TcpListener {
  const { tcp } = kernel.network;
  return tcp.listen(tcp.bind(address, OPTIONS), backlog);
}

/** Starts to connect. `result` is null until the handshake has ended. */
export function connect(kernel: Kernel, address: SocketAddress): Attempt {
  return new Attempt(kernel, address);
}

export class Attempt {
  result: TcpConnection | Error | null = null;
  at: number = -1;
  readonly cancel: () => void;

  constructor(kernel: Kernel, address: SocketAddress) {
    const request = kernel.network.tcp.connect(address, null, (error, channel) => {
      this.result = error ?? (channel as TcpConnection);
      this.at = kernel.host.timeline.time();
    });
    this.cancel = () => request.cancel();
  }

  get connection(): TcpConnection {
    if (this.result === null || this.result instanceof Error)
      throw new Error(`not connected: ${this.result}`);
    return this.result;
  }

  get code(): string | undefined {
    return codeOf(this.result);
  }
}

export interface Pair {
  client: Kernel;
  server: Kernel;
  listener: TcpListener;
  near: TcpConnection;
  far: TcpConnection;
}

/** Connects two hosts. */
export async function connectedPair(
  hosts: Hosts,
  client: Kernel = hosts.add('client'),
  server: Kernel = hosts.add('server'),
  host: string = server.host.addresses[0] as string,
): Promise<Pair> {
  const address: SocketAddress = host.includes(':') ? [host, 80, 0, 0] : [host, 80];
  const listener = listen(server, address);
  const attempt = connect(client, address);
  await hosts.after(0.01);
  const far = listener.accept();
  if (far === null) throw new Error('nothing to accept');
  return { client, server, listener, near: attempt.connection, far };
}
