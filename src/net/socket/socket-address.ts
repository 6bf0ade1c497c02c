/** Checks the addresses of sockets, for each family. */
import type { SocketAddress } from '../../base/address.ts';
import { literalFamily } from '../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../../base/constants.ts';
import { checkPort, checkString, invalidArgType, outOfRange } from '../../base/validate.ts';
import { BROADCAST, isBroadcast, withScope } from '../datagram/datagram-address.ts';
import { checkedHost, checkedPort, checkLiteral } from '../names/resolve.ts';

/** Bytes: Linux has room for 108, with the null byte at the end. */
const PATH_BYTES = 107;

const SHAPE = 'a [host, port] or [host, port, flowinfo, scopeId] address';

/** The address for `sockConnect()`: the host may be a name, and the port the name of a service. */
export type PeerAddress = SocketAddress | readonly [host: string, port: string];

/** Checks a literal address of `family`; for a unix socket a path. Returns it as the backend takes it. */
export function checkSocketAddress(address: unknown, family: number): SocketAddress {
  if (family === AF_UNIX) return checkPath(address);
  const [given, port, ...scope] = checkShape(address, family);
  const host = family === AF_INET && isBroadcast(given) ? BROADCAST : given;
  if (literalFamily(host) === 0)
    throw outOfRange('address[0]', host, 'a literal address: names are not looked up here');
  return withFamily(host, port, scope, family);
}

/** Checks an address as {@link checkSocketAddress} does; the host `''` means all interfaces. */
export function checkBindAddress(address: unknown, family: number): SocketAddress {
  if (family === AF_UNIX || !Array.isArray(address) || address[0] !== '')
    return checkSocketAddress(address, family);
  const [, port, ...scope] = checkShape(address, family);
  return withFamily(family === AF_INET6 ? '::' : '0.0.0.0', port, scope, family);
}

/** Checks a peer's address. Returns a literal address, or a name that must be looked up. */
export function checkPeerAddress(
  address: unknown,
  family: number,
): SocketAddress | { name: string; port: number | string } {
  if (family === AF_UNIX || !Array.isArray(address)) return checkSocketAddress(address, family);
  checkLength(address, family);
  const [given, givenPort, ...scope] = address as unknown[];
  const host = checkedHost('address[0]', given);
  const port = checkedPort('address[1]', givenPort);
  if (literalFamily(host) !== 0 && typeof port === 'number') return withFamily(host, port, scope, family);
  if (host === '') throw outOfRange('address[0]', host, 'a host');
  checkLiteral('address[0]', host, family);
  return { name: host, port };
}

function checkShape(address: unknown, family: number): [string, number, ...unknown[]] {
  if (!Array.isArray(address)) throw invalidArgType('address', address, SHAPE);
  checkLength(address, family);
  const [host, port] = address as unknown[];
  checkString('address[0]', host);
  checkPort('address[1]', port);
  return address as [string, number, ...unknown[]];
}

function checkLength(address: readonly unknown[], family: number): void {
  if (address.length === 2 || (family === AF_INET6 && address.length === 4)) return;
  throw invalidArgType('address', address, family === AF_INET6 ? SHAPE : 'a [host, port] address');
}

function withFamily(host: string, port: number, scope: unknown[], family: number): SocketAddress {
  checkLiteral('address[0]', host, family);
  if (family !== AF_INET6) return [host, port];
  return withScope('address', [host, port, scope[0] ?? 0, scope[1] ?? 0]);
}

/** Checks a path: empty, an abstract name, or the path of a file. */
function checkPath(path: unknown): SocketAddress {
  if (typeof path !== 'string')
    throw invalidArgType('address', path, 'a path, as the socket is a unix socket');
  if (path.includes('\0', 1)) throw outOfRange('address', path, 'a path without NUL');
  // The system would silently shorten the path.
  if (Buffer.byteLength(path) > PATH_BYTES)
    throw outOfRange('address', path, `at most ${PATH_BYTES} bytes long`);
  return path;
}
