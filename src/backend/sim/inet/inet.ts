/** The addresses of sockets as packets have them: an IPv4 address in IPv6 form is an IPv4 address. */
import type { SocketAddress } from '../../../base/address.ts';
import { canonicalIPv6, literalFamily, splitZone } from '../../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../../../base/constants.ts';
import { systemError } from '../errors.ts';

const MAPPED = '::ffff:';

export interface InetAddress {
  /** A canonical literal. */
  readonly host: string;
  readonly port: number;
}

/** Throws the system's error, if it is no literal address. */
export function parseAddress(address: SocketAddress): InetAddress {
  if (typeof address === 'string') throw systemError('EAFNOSUPPORT', 'connect', address);
  return { host: packetHost(address[0]), port: address[1] };
}

/** The same text is always the same string, which makes comparisons cheap. */
const KNOWN: Map<string, string> = new Map();
const MOST_KNOWN = 10_000;

function packetHost(host: string): string {
  const known = KNOWN.get(host);
  if (known !== undefined) return known;
  const found = canonicalHost(host);
  const same = KNOWN.get(found) ?? found;
  if (KNOWN.size >= MOST_KNOWN) KNOWN.clear();
  KNOWN.set(host, same);
  KNOWN.set(same, same);
  return same;
}

/** Returns the string by which packets name a host's own address. */
export function internHost(host: string): string {
  return packetHost(host);
}

function canonicalHost(host: string): string {
  if (!host.includes(':')) {
    if (literalFamily(host) === 4) return host;
    throw systemError('EINVAL', 'inet_pton');
  }
  if (literalFamily(host) !== 6) throw systemError('EINVAL', 'inet_pton');
  const canonical = canonicalIPv6(splitZone(host)[0]);
  return canonical.startsWith(MAPPED) && canonical.includes('.') ? canonical.slice(MAPPED.length) : canonical;
}

/** Returns the address of a packet as a socket of `family` shows it. */
export function shownAddress(family: number, host: string, port: number): SocketAddress {
  if (family !== AF_INET6) return [host, port];
  return [host.includes(':') ? host : `${MAPPED}${host}`, port, 0, 0];
}

export function familyOf(address: SocketAddress): number {
  if (typeof address === 'string') return AF_UNIX;
  return address.length === 4 ? AF_INET6 : AF_INET;
}

/** Whether the address is one of a group: multicast. */
export function isMulticast(host: string): boolean {
  if (host.includes(':')) return host.startsWith('ff');
  const first = Number(host.slice(0, host.indexOf('.')));
  return first >= 224 && first < 240;
}

/** Whether all hosts of the network have the address, each for itself. */
export function isBroadcast(host: string): boolean {
  return (
    host === '255.255.255.255' || (host.endsWith('.255') && !isMulticast(host) && !host.startsWith('127.'))
  );
}
