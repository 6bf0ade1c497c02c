/** Turns host and port into socket addresses. A literal address needs no look-up. */
import type { AddressInfo, SocketAddress } from '../../base/address.ts';
import { literalFamily } from '../../base/address.ts';
import type { HostAddress } from '../../base/address-info.ts';
import { hostAddresses } from '../../base/address-info.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AF_UNSPEC,
  AI_CANONNAME,
  AI_NUMERICHOST,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../base/constants.ts';
import { asciiHost } from '../../base/host-name.ts';
import { nameError } from '../../base/name-error.ts';
import { checkPort, checkString, invalidArgType, outOfRange } from '../../base/validate.ts';
import { capability } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { Future } from '../../tasks/future.ts';
import { HostOperation } from '../../tasks/host-operation.ts';

export interface ResolveOptions {
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for both. */
  family: number;
  /** `AI_` flags. Without a host, `AI_PASSIVE` means all interfaces, and otherwise this machine. */
  flags: number;
  /** `SOCK_STREAM` (default) or `SOCK_DGRAM`: the port of a service may differ between them. */
  type?: number;
}

/**
 * Returns the addresses of `host`, with `port`, in the resolver's order.
 *
 * @param port a number, or the name of a service
 * @throws the resolver's error (`ENOTFOUND`, `EAI_SERVICE`)
 */
export async function resolve(
  loop: Loop,
  host: string | null,
  port: number | string,
  options: ResolveOptions,
): Promise<SocketAddress[]> {
  if (typeof port === 'number') {
    const known = withoutAsking(host, port, options);
    if (known !== null) return known;
    if ((options.flags & AI_NUMERICHOST) !== 0) throw nameError('getaddrinfo', 'ENOTFOUND', host as string);
  }
  const found = await lookUp(loop, host, port, options);
  if (found.length === 0) throw nameError('getaddrinfo', 'ENOTFOUND', host ?? '');
  return found.map(({ sockaddr }) => (typeof port === 'number' ? withPort(sockaddr, port) : sockaddr));
}

/** Returns the addresses of a literal, or of no host; null for a name. */
export function withoutAsking(
  host: string | null,
  port: number,
  { family, flags }: ResolveOptions,
): SocketAddress[] | null {
  if (host === null || host === '') {
    const addresses = hostAddresses(null, family, flags) as HostAddress[];
    return addresses.map(({ family: af, address }) =>
      af === AF_INET6 ? [address, port, 0, 0] : [address, port],
    );
  }
  checkLiteral('host', host, family);
  switch (literalFamily(host)) {
    case 4:
      return [[host, port]];
    case 6:
      return [[host, port, 0, 0]];
    default:
      return null;
  }
}

/**
 * Checks a host, and returns it in ASCII, as the system knows it. Every host name of a user comes through
 * here.
 *
 * @throws TypeError, RangeError for an invalid host
 */
export function checkedHost(name: string, host: unknown): string {
  checkString(name, host);
  // The system would silently ignore the characters behind a null byte.
  const ascii = (host as string).includes('\0') ? null : asciiHost(host as string);
  if (ascii === null) throw outOfRange(name, host, 'a host name or an address, without NUL');
  return ascii;
}

/**
 * Checks a port: a number, digits, or the name of a service. Returns a name as it is, for the look-up.
 *
 * @throws TypeError, RangeError for an invalid port
 */
export function checkedPort(name: string, port: unknown): number | string {
  if (typeof port !== 'string' || port === '') {
    if (typeof port !== 'number') throw invalidArgType(name, port, 'a port, or the name of a service');
    checkPort(name, port);
    return port;
  }
  if (port.includes('\0')) throw outOfRange(name, port, 'the name of a service, without NUL');
  if (!/^\d+$/.test(port)) return port;
  checkPort(name, Number(port));
  return Number(port);
}

/**
 * Checks that a literal address belongs to the wanted family.
 *
 * @returns the family as far as it is known: that of a literal, else `family`
 */
export function checkLiteral(name: string, host: string | null, family: number): number {
  const literal = host === null ? 0 : literalFamily(host);
  if (literal === 0) return family;
  const literalAf = literal === 6 ? AF_INET6 : AF_INET;
  if (family !== AF_UNSPEC && family !== literalAf) {
    const [is, wanted] = literal === 6 ? ['IPv6', 'an IPv4'] : ['IPv4', 'an IPv6'];
    throw outOfRange(name, host, `${wanted} address or a name, not an ${is} address`);
  }
  return literalAf;
}

export function addressFamily(address: SocketAddress): number {
  if (typeof address === 'string') return AF_UNIX;
  return address.length === 4 ? AF_INET6 : AF_INET;
}

function withPort(address: SocketAddress, port: number): SocketAddress {
  return address.length === 4
    ? [address[0] as string, port, address[2] as number, address[3] as number]
    : [address[0] as string, port];
}

function lookUp(
  loop: Loop,
  host: string | null,
  port: number | string,
  { family, flags, type = SOCK_STREAM }: ResolveOptions,
): Future<AddressInfo[]> {
  const query = {
    host: host === '' ? null : host,
    port: typeof port === 'number' ? 0 : port,
    family,
    type,
    proto: type === SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP,
    // The canonical name is not used here, and finding it takes time.
    flags: flags & ~AI_CANONNAME,
  };
  return HostOperation.begin<AddressInfo[]>(
    loop,
    `looking up ${host || port}`,
    () => {},
    (request) => {
      const raw = capability(loop, 'names').resolve(query, (error, found) => {
        if (error === null) request.succeed(found);
        else request.fail(error);
      });
      return () => raw.cancel();
    },
  );
}
