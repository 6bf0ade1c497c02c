/** Socket addresses: asyncio's shapes. */

/** IPv4: host and port. */
export type Inet4Address = readonly [host: string, port: number];
/** IPv6: host, port, flow information, scope id. */
export type Inet6Address = readonly [host: string, port: number, flowinfo: number, scopeId: number];
/** A path, for unix sockets. */
export type SocketAddress = Inet4Address | Inet6Address | string;

/** One answer of `getaddrinfo`. */
export interface AddressInfo {
  family: number;
  type: number;
  proto: number;
  canonname: string;
  sockaddr: SocketAddress;
}

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const GROUP = /^[0-9a-f]{1,4}$/i;
const ZONE = /^[0-9a-z.:-]+$/i;

/** 4 or 6 for a literal address, 0 for anything else. An IPv6 literal may have a zone: `fe80::1%eth0`. */
export function literalFamily(host: string): 0 | 4 | 6 {
  if (IPV4.test(host)) return 4;
  return isIPv6(host) ? 6 : 0;
}

function isIPv6(host: string): boolean {
  const percent = host.indexOf('%');
  if (percent >= 0 && !ZONE.test(host.slice(percent + 1))) return false;
  const address = percent < 0 ? host : host.slice(0, percent);
  const halves = address.split('::');
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [i, half] of halves.entries()) {
    if (half === '') continue;
    const parts = half.split(':');
    for (const [j, part] of parts.entries()) {
      const last = i === halves.length - 1 && j === parts.length - 1;
      if (last && IPV4.test(part)) groups += 2;
      else if (GROUP.test(part)) groups += 1;
      else return false;
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}

/** `127.0.0.1:80`, `[::1]:80`, or the path. */
export function formatAddress(address: SocketAddress): string {
  if (typeof address === 'string') return address;
  const [host, port] = address;
  return address.length === 4 ? `[${host}]:${port}` : `${host}:${port}`;
}
