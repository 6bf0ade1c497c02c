/** Address families and flags with the platform's own values, and every tunable with its unit and its reason. */

// Each platform numbers these in its own way; Linux, macOS, Windows. Others are taken for Linux.
const column = { linux: 0, darwin: 1, win32: 2 }[process.platform as string] ?? 0;
function platform(linux: number, darwin: number, win32: number): number {
  return [linux, darwin, win32][column] as number;
}

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6: number = platform(10, 30, 23);
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const AI_PASSIVE = 0x01;
export const AI_CANONNAME = 0x02;
export const AI_NUMERICHOST = 0x04;
export const AI_NUMERICSERV: number = platform(0x400, 0x1000, 0x08);
export const AI_ADDRCONFIG: number = platform(0x20, 0x400, 0x400);
export const AI_V4MAPPED: number = platform(0x08, 0x800, 0x800);
export const AI_ALL: number = platform(0x10, 0x100, 0x100);
export const NI_NUMERICHOST: number = platform(1, 2, 2);
export const NI_NUMERICSERV: number = platform(2, 8, 8);
export const NI_NOFQDN: number = platform(4, 1, 1);
export const NI_NAMEREQD: number = platform(8, 4, 4);
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
