/** Checks and compares the addresses of datagrams. */
import type { SocketAddress } from '../../base/address.ts';
import { literalFamily } from '../../base/address.ts';
import { AF_INET, AF_INET6 } from '../../base/constants.ts';
import { checkInteger, checkString, invalidArgType, outOfRange } from '../../base/validate.ts';

const SHAPE = 'a [host, port] or [host, port, flowinfo, scopeId] address';
const LAST_PORT = 65_535;
const LONGEST_SCOPE = 0xffff_ffff;

/** All hosts of this network: `'<broadcast>'` stands for it, as in Python's sockets. */
export const BROADCAST = '255.255.255.255';

export function isBroadcast(host: unknown): boolean {
  return host === '<broadcast>';
}

/** The last valid IPv4 literal, as a cache: most datagrams go to the same host as the one before. */
let lastIPv4: string = '';

/**
 * Checks a destination: a literal address of `family`. Returns it as the backend takes it.
 *
 * @param name the name of the argument, for errors
 */
export function checkDestination(name: string, address: unknown, family: number): SocketAddress {
  if (!Array.isArray(address)) throw invalidArgType(name, address, SHAPE);
  const [host, port] = address as [unknown, unknown];
  if (family === AF_INET && host === lastIPv4 && address.length === 2 && isPort(port)) {
    return address as unknown as readonly [string, number];
  }
  checkString(`${name}[0]`, host);
  const wanted = family === AF_INET6 ? 6 : 4;
  if (wanted === 4 && isBroadcast(host))
    return checkDestination(name, [BROADCAST, ...address.slice(1)], family);
  const literal = literalFamily(host as string);
  if (literal !== wanted) {
    const why = literal === 0 ? ': names are not looked up here' : `, because the socket is IPv${wanted}`;
    throw outOfRange(`${name}[0]`, host, `a literal IPv${wanted} address${why}`);
  }
  checkDestinationPort(`${name}[1]`, port);
  if (wanted === 4) lastIPv4 = host as string;
  if (address.length === 2) {
    return wanted === 6
      ? [host as string, port as number, 0, 0]
      : (address as unknown as readonly [string, number]);
  }
  if (wanted === 4 || address.length !== 4) throw invalidArgType(name, address, SHAPE);
  return withScope(name, address as unknown as readonly [string, number, unknown, unknown]);
}

function isPort(port: unknown): boolean {
  return Number.isInteger(port) && (port as number) > 0 && (port as number) <= LAST_PORT;
}

/** Checks a port. No datagram can be sent to port 0. */
export function checkDestinationPort(name: string, port: unknown): void {
  checkInteger(name, port, 1, LAST_PORT);
}

/** Checks flow information and scope of an IPv6 address. */
export function withScope(
  name: string,
  [host, port, flowinfo, scopeId]: readonly [string, number, unknown, unknown],
): SocketAddress {
  checkInteger(`${name}[2]`, flowinfo, 0, 0xfffff);
  if (flowinfo !== 0) throw outOfRange(`${name}[2]`, flowinfo, '0: the host sends no flow information');
  checkInteger(`${name}[3]`, scopeId, 0, LONGEST_SCOPE);
  if (scopeId !== 0 && host.includes('%')) {
    throw outOfRange(`${name}[3]`, scopeId, '0, because the host contains a scope already');
  }
  return [host, port, flowinfo as number, scopeId as number];
}

/** Compares two addresses by their text: `::1` and `0:0:0:0:0:0:0:1` count as different. */
export function isSameAddress(one: SocketAddress, other: SocketAddress): boolean {
  return one[0] === other[0] && one[1] === other[1] && (one[3] ?? 0) === (other[3] ?? 0);
}
