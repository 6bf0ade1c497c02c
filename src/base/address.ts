/** Socket addresses in asyncio's formats. */
import { AF_INET, AF_INET6, AF_UNIX } from './constants.ts';

/** IPv4: host and port. */
export type Inet4Address = readonly [host: string, port: number];
/** IPv6: host, port, flow information, scope id. */
export type Inet6Address = readonly [host: string, port: number, flowinfo: number, scopeId: number];
/** A path, for unix sockets. */
export type SocketAddress = Inet4Address | Inet6Address | string;

/** One result of `getaddrinfo`. */
export interface AddressInfo {
  /** `AF_INET` or `AF_INET6`. */
  family: number;
  /** `SOCK_STREAM` or `SOCK_DGRAM`. */
  type: number;
  /** `IPPROTO_TCP` or `IPPROTO_UDP`. */
  proto: number;
  /** The host's canonical name in the first result, with `AI_CANONNAME`; otherwise empty. */
  canonname: string;
  /** The address to connect or bind to. */
  sockaddr: SocketAddress;
}

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const GROUP = /^[0-9a-f]{1,4}$/i;
const ZONE = /^[0-9a-z.:-]+$/i;
const GROUPS = 8;

/**
 * Returns 4 or 6 for a literal address, and 0 for other text. An IPv6 literal may have a zone:
 * `fe80::1%eth0`.
 */
export function literalFamily(host: string): 0 | 4 | 6 {
  if (IPV4.test(host)) return 4;
  const [address, zone] = splitZone(host);
  if (host.includes('%') && !ZONE.test(zone)) return 0;
  return ipv6Groups(address) === null ? 0 : 6;
}

/** Splits `fe80::1%eth0` into `fe80::1` and `eth0`. Without a zone, the second part is empty. */
export function splitZone(host: string): [address: string, zone: string] {
  const percent = host.indexOf('%');
  return percent < 0 ? [host, ''] : [host.slice(0, percent), host.slice(percent + 1)];
}

/** Returns the eight 16-bit numbers of an IPv6 address without zone, or null for other text. */
export function ipv6Groups(address: string): number[] | null {
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const groups: number[][] = [];
  for (const [i, half] of halves.entries()) {
    const numbers = half === '' ? [] : groupsOf(half.split(':'), i === halves.length - 1);
    if (numbers === null) return null;
    groups.push(numbers);
  }
  const [head, tail = []] = groups as [number[], number[]?];
  const zeros = GROUPS - head.length - tail.length;
  if (halves.length === 1 ? zeros !== 0 : zeros < 1) return null;
  return [...head, ...Array<number>(zeros).fill(0), ...tail];
}

/** @param dottedEnd true if the last part may be an IPv4 address */
function groupsOf(parts: string[], dottedEnd: boolean): number[] | null {
  const numbers: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (GROUP.test(part)) {
      numbers.push(Number.parseInt(part, 16));
    } else if (dottedEnd && i === parts.length - 1 && IPV4.test(part)) {
      const [a, b, c, d] = part.split('.').map(Number) as [number, number, number, number];
      numbers.push(a * 256 + b, c * 256 + d);
    } else {
      return null;
    }
  }
  return numbers;
}

/**
 * Returns the spelling of an IPv6 address without zone that the system prints (`inet_ntop`): `::1` for
 * `0:0::1`.
 */
export function canonicalIPv6(address: string): string {
  const groups = ipv6Groups(address) as number[];
  const [start, length] = longestZeros(groups);
  // An address that stands for an IPv4 address ends with it: ::ffff:1.2.3.4, ::1.2.3.4.
  const dotted = start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff));
  const parts = groups.map((group) => group.toString(16));
  if (dotted) parts.splice(6, 2, dottedQuad(groups[6] as number, groups[7] as number));
  if (length < 2) return parts.join(':');
  return `${parts.slice(0, start).join(':')}::${parts.slice(start + length).join(':')}`;
}

/** Returns the IPv4 address in an IPv6 address of the form `::ffff:1.2.3.4`, or null for others. */
export function mappedIPv4(address: string): string | null {
  const groups = ipv6Groups(address) as number[];
  if (groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff) return null;
  return dottedQuad(groups[6] as number, groups[7] as number);
}

/**
 * Returns true for an IPv6 address, of a host or a group, that is valid on one link only. Only such an
 * address can have a zone name.
 */
export function isLinkLocal(address: string): boolean {
  const [first] = ipv6Groups(address) as [number];
  return (first & 0xffc0) === 0xfe80 || (first & 0xff0f) === 0xff02;
}

function dottedQuad(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Returns the first of the longest runs of zeros. */
function longestZeros(groups: number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  let start = 0;
  for (const [i, group] of groups.entries()) {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best[1]) best = [start, i + 1 - start];
  }
  return best;
}

/** Returns `127.0.0.1:80`, `[::1]:80`, or the path. */
export function formatAddress(address: SocketAddress): string {
  if (typeof address === 'string') return address;
  const [host, port] = address;
  return address.length === 4 ? `[${host}]:${port}` : `${host}:${port}`;
}

const FAMILIES: Readonly<Record<number, string>> = {
  [AF_UNIX]: 'unix',
  [AF_INET]: 'IPv4',
  [AF_INET6]: 'IPv6',
};

/** Returns the name of an address family, or its number as text. */
export function familyName(family: number): string {
  return FAMILIES[family] ?? `family ${family}`;
}
