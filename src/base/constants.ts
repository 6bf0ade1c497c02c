/** Address families and flags with the platform's own values, and every tunable with its unit and its reason. */

// Each platform numbers these in its own way; Linux, macOS, Windows. Others are taken for Linux.
const column = { linux: 0, darwin: 1, win32: 2 }[process.platform as string] ?? 0;
function platform(linux: number, darwin: number, win32: number): number {
  return [linux, darwin, win32][column] as number;
}

/** Any address family. */
export const AF_UNSPEC = 0;
/** Unix sockets. */
export const AF_UNIX = 1;
/** IPv4. */
export const AF_INET = 2;
/** IPv6. */
export const AF_INET6: number = platform(10, 30, 23);
/** A byte stream. */
export const SOCK_STREAM = 1;
/** Datagrams. */
export const SOCK_DGRAM = 2;
/** TCP. */
export const IPPROTO_TCP = 6;
/** UDP. */
export const IPPROTO_UDP = 17;
/** No host means every interface, not this machine. */
export const AI_PASSIVE = 0x01;
/** Ask for the canonical name. */
export const AI_CANONNAME = 0x02;
/** The host is a literal address: look nothing up. */
export const AI_NUMERICHOST = 0x04;
/** The port is a number: look nothing up. */
export const AI_NUMERICSERV: number = platform(0x400, 0x1000, 0x08);
/** Only families that this machine has an address of. */
export const AI_ADDRCONFIG: number = platform(0x20, 0x400, 0x400);
/** IPv4 addresses as IPv6 ones where there are no others. */
export const AI_V4MAPPED: number = platform(0x08, 0x800, 0x800);
/** With `AI_V4MAPPED`: both kinds. */
export const AI_ALL: number = platform(0x10, 0x100, 0x100);
/** The address as it is, not a name. */
export const NI_NUMERICHOST: number = platform(1, 2, 2);
/** The port as a number, not a service. */
export const NI_NUMERICSERV: number = platform(2, 8, 8);
/** Only the host part of a local name. */
export const NI_NOFQDN: number = platform(4, 1, 1);
/** Fail where there is no name. */
export const NI_NAMEREQD: number = platform(8, 4, 4);
/** The service is one of UDP. */
export const NI_DGRAM: number = platform(16, 16, 16);

/** Bytes. asyncio's default: a write buffer above it pauses the protocol. */
export const DEFAULT_HIGH_WATER_BYTES: number = 64 * 1024;
/** The low-water mark is this part of the high one unless given: asyncio's quarter. */
export const LOW_WATER_DIVISOR = 4;
/** Bytes. asyncio's limit of a StreamReader; the transport is paused above twice of it. */
export const DEFAULT_READER_LIMIT_BYTES: number = 64 * 1024;
/** Connections that wait to be accepted: the founding document's default. */
export const DEFAULT_BACKLOG = 100;
/** Seconds between connection attempts: RFC 8305 recommends 250 ms, and asyncio's users choose it. */
export const DEFAULT_HAPPY_EYEBALLS_DELAY_SECONDS = 0.25;
/** From this write after the end of a connection on, a warning is given: asyncio's number. */
export const LOST_WRITES_BEFORE_WARNING = 5;
/** Seconds. A callback slower than this is reported in debug mode: asyncio's default. */
export const SLOW_CALLBACK_SECONDS = 0.1;
