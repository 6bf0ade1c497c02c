/**
 * Address families and flags with the platform's own values, and every tunable with its unit and its reason.
 */

// The values on Linux, macOS and Windows. Other platforms get the values of Linux.
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
/** For `shutdown()`: no more reading. */
export const SHUT_RD = 0;
/** For `shutdown()`: no more writing. */
export const SHUT_WR = 1;
/** For `shutdown()`: neither reading nor writing. */
export const SHUT_RDWR = 2;
/** The level of the options of all sockets. */
export const SOL_SOCKET: number = platform(1, 0xffff, 0xffff);
/** The pending error of a socket. Reading it clears it. */
export const SO_ERROR: number = platform(4, 0x1007, 0x1007);
/** Datagrams may go to broadcast addresses. */
export const SO_BROADCAST: number = platform(6, 0x20, 0x20);
/** Keep-alive probes. */
export const SO_KEEPALIVE: number = platform(9, 8, 8);
/** The size in bytes of the kernel's receive buffer. */
export const SO_RCVBUF: number = platform(8, 0x1002, 0x1002);
/** The size in bytes of the kernel's send buffer. */
export const SO_SNDBUF: number = platform(7, 0x1001, 0x1001);
/** A port in TIME_WAIT may be bound again. */
export const SO_REUSEADDR: number = platform(2, 4, 4);
/** Several sockets may share a port. Windows does not have this option. */
export const SO_REUSEPORT: number = platform(15, 0x200, 0x200);
/** Turns Nagle's algorithm off. At the level `IPPROTO_TCP`. */
export const TCP_NODELAY = 1;
/** IPv6 only, without IPv4. At the level `IPPROTO_IPV6`. */
export const IPV6_V6ONLY: number = platform(26, 27, 27);
/** No host means every interface, not this machine. */
export const AI_PASSIVE = 0x01;
/** Ask for the canonical name. */
export const AI_CANONNAME = 0x02;
/** The host is a literal address: look nothing up. */
export const AI_NUMERICHOST = 0x04;
/** The port is a number: look nothing up. */
export const AI_NUMERICSERV: number = platform(0x400, 0x1000, 0x08);
/** Only families in which this machine has an address. */
export const AI_ADDRCONFIG: number = platform(0x20, 0x400, 0x400);
/** IPv4 addresses as IPv6 addresses, if there are no others. */
export const AI_V4MAPPED: number = platform(0x08, 0x800, 0x800);
/** With `AI_V4MAPPED`: both kinds. */
export const AI_ALL: number = platform(0x10, 0x100, 0x100);
/** Return the host as an address, not as a name. */
export const NI_NUMERICHOST: number = platform(1, 2, 2);
/** Return the port as a number, not as a service. */
export const NI_NUMERICSERV: number = platform(2, 8, 8);
/** Return only the host part of a local name. */
export const NI_NOFQDN: number = platform(4, 1, 1);
/** Fail if there is no name. */
export const NI_NAMEREQD: number = platform(8, 4, 4);
/** The service is a UDP service. */
export const NI_DGRAM: number = platform(16, 16, 16);

/** Bytes. asyncio's default: a write buffer above it pauses the protocol. */
export const DEFAULT_HIGH_WATER_BYTES: number = 64 * 1024;
/** The default low-water mark is the high-water mark divided by this, as in asyncio. */
export const LOW_WATER_DIVISOR = 4;
/** Bytes. asyncio's limit of a StreamReader. The reader pauses its transport above twice this size. */
export const DEFAULT_READER_LIMIT_BYTES: number = 64 * 1024;
/**
 * The maximal number of connections that wait to be accepted: the default in asyncio's event loop reference.
 */
export const DEFAULT_BACKLOG = 100;
/**
 * Seconds between connection attempts. RFC 8305 recommends 250 ms, and asyncio's documentation suggests it.
 */
export const DEFAULT_HAPPY_EYEBALLS_DELAY_SECONDS = 0.25;
/** The transport warns at this write after the connection was lost: asyncio's number. */
export const LOST_WRITES_BEFORE_WARNING = 5;
/** Seconds. Debug mode reports a callback that is slower than this: asyncio's default. */
export const SLOW_CALLBACK_SECONDS = 0.1;
/** Seconds. Without debug mode, code that holds the loop for longer is reported by default. */
export const HELD_LOOP_SECONDS = 1;
/** Seconds that a TLS handshake may take: asyncio's default. */
export const TLS_HANDSHAKE_TIMEOUT_SECONDS = 60;
/** Seconds to wait for the peer's close_notify before the connection is aborted: asyncio's default. */
export const TLS_SHUTDOWN_TIMEOUT_SECONDS = 30;

/** For a child's stdin, stdout and stderr: a pipe to the transport. */
export const PIPE = -1;
/** For a child's stderr: the same as its stdout. */
export const STDOUT = -2;
/** For a child's stdin, stdout and stderr: `/dev/null`. */
export const DEVNULL = -3;
