/**
 * The fate of a packet by the choices of a schedule: delays, segment borders, lost and doubled datagrams, and
 * resets. The rules of the world have decided before that it is delivered.
 */
import type { Choices } from '../choices.ts';
import { lateBy } from '../choices.ts';
import type { Packet, TcpSegment } from './packet.ts';
import { describePacket, FIN, PSH, RST, resetOf, SYN } from './packet.ts';

/** A packet to deliver. */
export interface ScheduledPacket {
  readonly packet: Packet;
  /** Seconds, on top of the usual arrival. */
  readonly late: number;
  /** It goes to the sender. */
  readonly back: boolean;
}

/** Seconds between the two parts of a divided segment, and between the copies of a datagram. */
const APART_SECONDS = 0.001;
const DATAGRAM_FATES = ['arrives', 'is lost', 'arrives twice'];
const LOST = 1;
const TWICE = 2;

/** Returns the packets that arrive in place of `packet`, in their order. */
export function scheduledPackets(
  choices: Choices,
  packet: Packet,
  from: string,
  to: string,
): ScheduledPacket[] {
  const usual = [{ packet, late: 0, back: false }];
  if (packet.protocol === 'icmp') return usual;
  const place = `${packet.protocol} ${from}>${to}`;
  if (packet.protocol === 'udp') return datagrams(choices, packet, place);
  return packet.data.length > 0 || (packet.flags & (SYN | FIN)) !== 0
    ? segments(choices, packet, place)
    : usual;
}

function datagrams(choices: Choices, packet: Packet, place: string): ScheduledPacket[] {
  const label = (option: number): string => `${describePacket(packet)} ${DATAGRAM_FATES[option]}`;
  const fate = choices.choose('datagram', place, DATAGRAM_FATES.length, label);
  if (fate === LOST) return [];
  const first = { packet, late: lateBy(choices, 'delay', place), back: false };
  return fate === TWICE ? [first, { ...first, late: first.late + APART_SECONDS }] : [first];
}

function segments(choices: Choices, packet: TcpSegment, place: string): ScheduledPacket[] {
  if (packet.data.length > 0 && isReset(choices, packet, place)) {
    const reset = { ...packet, flags: RST, data: packet.data.subarray(0, 0) };
    return [
      { packet: reset, late: 0, back: false },
      { packet: resetOf(packet), late: 0, back: true },
    ];
  }
  const late = lateBy(choices, 'delay', place);
  const border = borderOf(choices, packet, place);
  if (border === 0) return [{ packet, late, back: false }];
  const first = { ...packet, flags: packet.flags & ~(FIN | PSH), data: packet.data.subarray(0, border) };
  const second = { ...packet, seq: (packet.seq + border) >>> 0, data: packet.data.subarray(border) };
  return [
    { packet: first, late, back: false },
    { packet: second, late: late + APART_SECONDS, back: false },
  ];
}

function isReset(choices: Choices, packet: Packet, place: string): boolean {
  const label = (option: number): string =>
    option === 0 ? 'goes on' : `the connection of ${describePacket(packet)} is reset`;
  return choices.choose('reset', place, 2, label) === 1;
}

/** Returns the number of bytes in the first part, or 0 if the segment is not divided. */
function borderOf(choices: Choices, { data, flags }: TcpSegment, place: string): number {
  const { length } = data;
  if (length < 2 || (flags & SYN) !== 0) return 0;
  const borders = [...new Set([0, 1, length >>> 1, length - 1])];
  const label = (option: number): string => `divided after ${borders[option]} of ${length} bytes`;
  return borders[choices.choose('split', place, borders.length, label)] as number;
}
