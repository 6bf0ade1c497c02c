/**
 * The part of `getaddrinfo` that needs no system call: literal addresses, no host, kinds of sockets, order.
 */
import type { AddressInfo } from './address.ts';
import { canonicalIPv6, isLinkLocal, literalFamily, mappedIPv4, splitZone } from './address.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  AI_CANONNAME,
  AI_NUMERICHOST,
  AI_PASSIVE,
  AI_V4MAPPED,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_STREAM,
} from './constants.ts';
import { nameError } from './name-error.ts';

/** A socket's type and protocol, and the port of a service for it. */
export interface ServiceKind {
  readonly type: number;
  readonly proto: number;
  readonly port: number;
}

/** An address of a host. The zone of an IPv6 address is a name or a number, or empty. */
export interface HostAddress {
  readonly family: number;
  readonly address: string;
  readonly zone: string;
}

/** `getaddrinfo` also lists raw sockets, which gyre does not have. */
const KINDS = [
  { type: SOCK_STREAM, proto: IPPROTO_TCP },
  { type: SOCK_DGRAM, proto: IPPROTO_UDP },
] as const;

/** The largest scope id: 32 bits. */
export const MAX_SCOPE_ID = 0xffff_ffff;

/**
 * Returns the requested kinds of sockets, each with its port.
 *
 * @param type 0: all types
 * @param proto 0: all protocols
 * @param portOf returns the port, or null if there is no such service for the kind
 * @throws Error `EAI_SOCKTYPE`, `EAI_SERVICE`
 */
export function serviceKinds(
  host: string | null,
  type: number,
  proto: number,
  portOf: (proto: number) => number | null,
): ServiceKind[] {
  const kinds = KINDS.filter(
    (kind) => (type === 0 || kind.type === type) && (proto === 0 || kind.proto === proto),
  );
  if (kinds.length === 0) {
    throw nameError('getaddrinfo', 'EAI_SOCKTYPE', host ?? '', 'no socket is of that type and protocol');
  }
  const found = kinds.flatMap((kind) => {
    const port = portOf(kind.proto);
    return port === null ? [] : [{ ...kind, port }];
  });
  if (found.length === 0) throw nameError('getaddrinfo', 'EAI_SERVICE', host ?? '', 'no such service');
  return found;
}

/**
 * Returns the addresses of a literal or of no host, or null for a name, which must be looked up.
 *
 * @param host null: this machine, or every interface with `AI_PASSIVE`
 * @throws Error `EAI_ADDRFAMILY` for a literal of the other family, `ENOTFOUND` for a name with
 *   `AI_NUMERICHOST`
 */
export function hostAddresses(host: string | null, family: number, flags: number): HostAddress[] | null {
  if (host === null) return addressesOfNoHost(family, flags);
  const [text, zone] = splitZone(host);
  switch (literalFamily(host)) {
    case 4:
      if (family !== AF_INET6) return [{ family: AF_INET, address: host, zone: '' }];
      if ((flags & AI_V4MAPPED) === 0) throw nameError('getaddrinfo', 'EAI_ADDRFAMILY', host);
      return [{ family: AF_INET6, address: `::ffff:${host}`, zone: '' }];
    case 6: {
      if (family !== AF_INET) return [{ family: AF_INET6, address: canonicalIPv6(text), zone }];
      const mapped = mappedIPv4(text);
      if (mapped === null) throw nameError('getaddrinfo', 'EAI_ADDRFAMILY', host);
      return [{ family: AF_INET, address: mapped, zone: '' }];
    }
    default:
      if ((flags & AI_NUMERICHOST) !== 0) throw nameError('getaddrinfo', 'ENOTFOUND', host);
      return null;
  }
}

/** Uses the system's order: IPv4 first for a server, IPv6 first for a client. */
function addressesOfNoHost(family: number, flags: number): HostAddress[] {
  const passive = (flags & AI_PASSIVE) !== 0;
  const v4 = { family: AF_INET, address: passive ? '0.0.0.0' : '127.0.0.1', zone: '' };
  const v6 = { family: AF_INET6, address: passive ? '::' : '::1', zone: '' };
  return (passive ? [v4, v6] : [v6, v4]).filter(
    (address) => family === AF_UNSPEC || address.family === family,
  );
}

/**
 * Returns the scope id of a zone that is a number, 0 for no zone, and null for the name of an interface,
 * which must be looked up.
 *
 * @throws Error `ENOTFOUND` for a zone name on an address that is not link-local
 */
export function knownScope(host: string | null, { address, zone }: HostAddress): number | null {
  if (zone === '') return 0;
  const number = /^\d+$/.test(zone) ? Number(zone) : Number.NaN;
  if (number <= MAX_SCOPE_ID) return number;
  if (isLinkLocal(address)) return null;
  throw nameError('getaddrinfo', 'ENOTFOUND', host ?? '', `${address} has no zone of that name`);
}

/** Returns each kind of socket for each address, in the system's order. */
export function addressInfos(
  addresses: readonly HostAddress[],
  kinds: readonly ServiceKind[],
  canonname: string,
  scopeOf: (address: HostAddress) => number,
): AddressInfo[] {
  const infos = addresses.flatMap((found): AddressInfo[] => {
    const { family, address } = found;
    const scope = family === AF_INET6 ? scopeOf(found) : 0;
    return kinds.map(({ type, proto, port }) => ({
      family,
      type,
      proto,
      canonname: '',
      sockaddr: family === AF_INET6 ? [address, port, 0, scope] : [address, port],
    }));
  });
  const [first] = infos;
  if (first !== undefined) first.canonname = canonname;
  return infos;
}

/** Returns the canonical name of a literal, which is the literal itself. */
export function literalCanonname(host: string | null, flags: number): string {
  return (flags & AI_CANONNAME) === 0 ? '' : (host ?? '');
}
