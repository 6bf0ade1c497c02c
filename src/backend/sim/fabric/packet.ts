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
