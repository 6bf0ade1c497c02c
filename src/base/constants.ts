/**
 * Address families and flags with the platform's own values, and every tunable with its unit and its reason.
 */

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
/** IPv6 itself: the level of its options. */
export const IPPROTO_IPV6 = 41;
/** Of `shutdown()`: no more reading. */
export const SHUT_RD = 0;
/** Of `shutdown()`: no more writing. */
export const SHUT_WR = 1;
/** Of `shutdown()`: both. */
export const SHUT_RDWR = 2;
/** The level of the options of all sockets. */
export const SOL_SOCKET: number = platform(1, 0xffff, 0xffff);
/** The error of a socket, which is forgotten when it is asked for. */
export const SO_ERROR: number = platform(4, 0x1007, 0x1007);
/** Datagrams may go to broadcast addresses. */
export const SO_BROADCAST: number = platform(6, 0x20, 0x20);
/** Keep-alive probes. */
export const SO_KEEPALIVE: number = platform(9, 8, 8);
/** Bytes: the size of the kernel's buffer for what is received. */
export const SO_RCVBUF: number = platform(8, 0x1002, 0x1002);
/** Bytes: the size of the kernel's buffer for what is sent. */
export const SO_SNDBUF: number = platform(7, 0x1001, 0x1001);
/** A port in TIME_WAIT may be taken again. */
export const SO_REUSEADDR: number = platform(2, 4, 4);
/** Several sockets may share a port. Windows has none. */
export const SO_REUSEPORT: number = platform(15, 0x200, 0x200);
/** Nagle's algorithm off: of the level `IPPROTO_TCP`. */
export const TCP_NODELAY = 1;
/** IPv6 alone, not IPv4 too: of the level `IPPROTO_IPV6`. */
export const IPV6_V6ONLY: number = platform(26, 27, 27);
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
/** Seconds that a TLS handshake may take: asyncio's default. */
export const TLS_HANDSHAKE_TIMEOUT_SECONDS = 60;
/** Seconds to wait for the peer's close_notify before the connection is cut: asyncio's default. */
export const TLS_SHUTDOWN_TIMEOUT_SECONDS = 30;

/** For a child's stdin, stdout and stderr: a pipe of ours. */
export const PIPE = -1;
/** For a child's stderr: where its stdout goes. */
export const STDOUT = -2;
/** For a child's stdin, stdout and stderr: nothing comes and all is dropped. */
export const DEVNULL = -3;
