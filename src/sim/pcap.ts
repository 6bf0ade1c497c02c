/**
 * Writes the packets of a world to a capture file, which Wireshark and tcpdump open.
 *
 *   file header │ record header, IP header, TCP / UDP / ICMP header, data │ record header, …
 *
 * A packet is written when it is sent, also if a fault drops it then. The simulated TCP has windows of more
 * than 64 KiB, so the segments with SYN get the options that the real ones have: segment size and window
 * scale.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { IcmpMessage, Packet, TcpSegment, UdpDatagram } from '../backend/sim/fabric/packet.ts';
import { SYN } from '../backend/sim/fabric/packet.ts';
import { ipv6Groups, splitZone } from '../base/address.ts';

/** Taken at once, because the file is of the real machine, whatever replaces the functions later. */
const file = { open: openSync, write: writeSync, close: closeSync };

const MAGIC_NANOSECONDS = 0xa1b23c4d;
const SNAP_BYTES = 262_144;
/** Packets begin with the IP header. */
const LINKTYPE_RAW = 101;
const BUFFER_BYTES = 65_536;
const WINDOW_SHIFT = 7;
const PROTOCOL = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58 } as const;

export class Capture {
  readonly #descriptor: number;
  #chunks: Buffer[] = [];
  #length: number = 0;
  #id: number = 0;

  /** @throws the system's error if the file cannot be written */
  constructor(path: string) {
    this.#descriptor = file.open(path, 'w');
    const header = Buffer.alloc(24);
    header.writeUInt32LE(MAGIC_NANOSECONDS, 0);
    header.writeUInt16LE(2, 4);
    header.writeUInt16LE(4, 6);
    header.writeUInt32LE(SNAP_BYTES, 16);
    header.writeUInt32LE(LINKTYPE_RAW, 20);
    this.#push(header);
  }

  /**
   * @param epoch seconds since 1970 at the beginning of the world
   * @param time seconds since then. Their sum would not be exact enough for nanoseconds
   */
  add(epoch: number, time: number, packet: Packet): void {
    const bytes = encodePacket(packet, this.#id++ & 0xffff);
    const record = Buffer.alloc(16);
    const whole = Math.floor(epoch) + Math.floor(time);
    const nanoseconds = Math.round((epoch - Math.floor(epoch) + time - Math.floor(time)) * 1e9);
    record.writeUInt32LE((whole + Math.floor(nanoseconds / 1e9)) >>> 0, 0);
    record.writeUInt32LE(nanoseconds % 1e9, 4);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    this.#push(record);
    this.#push(bytes);
  }

  close(): void {
    this.#flush();
    file.close(this.#descriptor);
  }

  #push(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    if (this.#length >= BUFFER_BYTES) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#length = 0;
    for (let at = 0; at < bytes.length; ) at += file.write(this.#descriptor, bytes, at);
  }
}

/** Returns a packet as it is on the wire, from its IP header on. */
export function encodePacket(packet: Packet, id: number): Buffer {
  const source = addressBytes(packet.source);
  const destination = addressBytes(packet.destination);
  const isIPv6 = destination.length === 16;
  const protocol = packet.protocol === 'icmp' && isIPv6 ? PROTOCOL.icmpv6 : PROTOCOL[packet.protocol];
  const payload = encodePayload(packet, isIPv6);
  // ICMP for IPv4 alone has a checksum without the addresses.
  const pseudo =
    protocol === PROTOCOL.icmp ? 0 : sumOf(source) + sumOf(destination) + protocol + payload.length;
  const checksum = checksumOf(payload, pseudo);
  // For UDP, zero means that there is no checksum.
  payload.writeUInt16BE(
    checksum === 0 && protocol === PROTOCOL.udp ? 0xffff : checksum,
    CHECKSUM_AT[protocol],
  );
  const header = isIPv6 ? ipv6Header(payload.length, protocol) : ipv4Header(payload.length, protocol, id);
  source.copy(header, isIPv6 ? 8 : 12);
  destination.copy(header, isIPv6 ? 24 : 16);
  if (!isIPv6) header.writeUInt16BE(checksumOf(header, 0), 10);
  return Buffer.concat([header, payload]);
}

const CHECKSUM_AT: Readonly<Record<number, number>> = {
  [PROTOCOL.tcp]: 16,
  [PROTOCOL.udp]: 6,
  [PROTOCOL.icmp]: 2,
  [PROTOCOL.icmpv6]: 2,
};

function encodePayload(packet: Packet, isIPv6: boolean): Buffer {
  switch (packet.protocol) {
    case 'tcp':
      return tcpBytes(packet, isIPv6);
    case 'udp':
      return udpBytes(packet);
    case 'icmp':
      return icmpBytes(packet, isIPv6);
  }
}

function ipv4Header(length: number, protocol: number, id: number): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + length, 2);
  header.writeUInt16BE(id, 4);
  header.writeUInt16BE(0x4000, 6); // don't fragment
  header[8] = 64;
  header[9] = protocol;
  return header;
}

function ipv6Header(length: number, protocol: number): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(length, 4);
  header[6] = protocol;
  header[7] = 64;
  return header;
}

function tcpBytes(segment: TcpSegment, isIPv6: boolean): Buffer {
  const { sourcePort, destinationPort, seq, ack, flags, window, data } = segment;
  const isSyn = (flags & SYN) !== 0;
  const header = Buffer.alloc(isSyn ? 28 : 20);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt32BE(seq >>> 0, 4);
  header.writeUInt32BE(ack >>> 0, 8);
  header[12] = (header.length / 4) << 4;
  header[13] = flags;
  header.writeUInt16BE(Math.min(isSyn ? window : window >>> WINDOW_SHIFT, 0xffff), 14);
  if (isSyn) {
    header.writeUInt16BE(0x0204, 20); // maximum segment size
    header.writeUInt16BE(isIPv6 ? 1440 : 1460, 22);
    header.writeUInt32BE(0x01030300 | WINDOW_SHIFT, 24); // no operation; window scale
  }
  return Buffer.concat([header, data]);
}

function udpBytes({ sourcePort, destinationPort, data }: UdpDatagram): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header.writeUInt16BE(8 + data.length, 4);
  return Buffer.concat([header, data]);
}

/** Type and code of ICMP and of ICMPv6. */
const ICMP_TYPES = {
  'port-unreachable': [3, 3, 1, 4],
  'host-unreachable': [3, 1, 1, 3],
  'too-big': [3, 4, 2, 0],
} as const;
/** Bytes of the packet that an ICMP message repeats, beside its IP header. */
const ICMP_REPEATED = 8;

function icmpBytes({ reason, about }: IcmpMessage, isIPv6: boolean): Buffer {
  const [type, code, type6, code6] = ICMP_TYPES[reason];
  const header = Buffer.alloc(8);
  header[0] = isIPv6 ? type6 : type;
  header[1] = isIPv6 ? code6 : code;
  const whole = encodePacket(about, 0);
  return Buffer.concat([header, whole.subarray(0, (isIPv6 ? 40 : 20) + ICMP_REPEATED)]);
}

function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const bytes = Buffer.alloc(16);
  const [literal] = splitZone(address);
  for (const [i, group] of (ipv6Groups(literal) as number[]).entries()) bytes.writeUInt16BE(group, i * 2);
  return bytes;
}

/** The checksum of the internet (RFC 1071), over bytes whose checksum field is zero. */
function checksumOf(bytes: Buffer, start: number): number {
  let sum = start + sumOf(bytes);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function sumOf(bytes: Buffer): number {
  let sum = 0;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  return even === bytes.length ? sum : sum + ((bytes[even] as number) << 8);
}
