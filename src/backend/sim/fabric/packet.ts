/** The packets that travel between simulated hosts. */

/** A TCP header's flags, as the bits of the real header, so that a capture file can have them. */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

export interface TcpSegment {
  readonly protocol: 'tcp';
  /** Canonical literal addresses. */
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly flags: number;
  /** 32-bit sequence numbers, as on the wire. */
  readonly seq: number;
  readonly ack: number;
  /** Bytes that the sender of this segment can still receive. */
  readonly window: number;
  readonly data: Uint8Array;
}

export interface UdpDatagram {
  readonly protocol: 'udp';
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly data: Uint8Array;
}

/** A report that a packet could not be delivered. */
export interface IcmpMessage {
  readonly protocol: 'icmp';
  readonly source: string;
  readonly destination: string;
  readonly reason: 'port-unreachable' | 'host-unreachable' | 'too-big';
  /** The packet that could not be delivered. */
  readonly about: TcpSegment | UdpDatagram;
}

export type Packet = TcpSegment | UdpDatagram | IcmpMessage;

/** Returns the number of bytes on the wire, with the headers of IP and of the protocol. */
export function wireLength(packet: Packet): number {
  const ip = packet.destination.includes(':') ? 40 : 20;
  if (packet.protocol === 'icmp') return ip + 8 + 28;
  return ip + (packet.protocol === 'tcp' ? 20 : 8) + packet.data.length;
}

/** Returns the RST that a kernel without this connection answers (RFC 9293, 3.10.7.1). */
export function resetOf(segment: TcpSegment): TcpSegment {
  const { flags } = segment;
  const length = segment.data.length + ((flags & SYN) === 0 ? 0 : 1) + ((flags & FIN) === 0 ? 0 : 1);
  const hasAck = (flags & ACK) !== 0;
  return {
    protocol: 'tcp',
    source: segment.destination,
    sourcePort: segment.destinationPort,
    destination: segment.source,
    destinationPort: segment.sourcePort,
    flags: hasAck ? RST : RST | ACK,
    seq: hasAck ? segment.ack : 0,
    ack: hasAck ? 0 : (segment.seq + length) >>> 0,
    window: 0,
    data: NO_DATA,
  };
}

const NO_DATA = new Uint8Array(0);

/** Returns a packet as text: `tcp 10.0.0.1:80 > 10.0.0.2:40000 SYN ACK 0 bytes`. */
export function describePacket(packet: Packet): string {
  if (packet.protocol === 'icmp') return describeIcmp(packet);
  const { protocol, source, sourcePort, destination, destinationPort, data } = packet;
  const flags = protocol === 'tcp' ? flagsOf(packet) : '';
  return `${protocol} ${join(source, sourcePort)} > ${join(destination, destinationPort)}${flags} ${data.length} bytes`;
}

function describeIcmp({ source, destination, reason }: IcmpMessage): string {
  return `icmp ${source} > ${destination} ${reason}`;
}

const FLAGS: readonly (readonly [number, string])[] = [
  [SYN, 'SYN'],
  [FIN, 'FIN'],
  [RST, 'RST'],
  [PSH, 'PSH'],
  [ACK, 'ACK'],
];

function flagsOf({ flags }: TcpSegment): string {
  return FLAGS.map(([bit, name]) => ((flags & bit) === 0 ? '' : ` ${name}`)).join('');
}

function join(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
