/**
 * `loop.getaddrinfo` and `loop.getnameinfo`. They answer without a system call where they can: a literal
 * address needs no thread of the host.
 */
import type { NameQuery, RawRequest, ResolveQuery } from '../../backend/backend.ts';
import type { AddressInfo, Inet4Address, Inet6Address, SocketAddress } from '../../base/address.ts';
import { canonicalIPv6, formatAddress, literalFamily, splitZone } from '../../base/address.ts';
import {
  addressInfos,
  hostAddresses,
  knownScope,
  literalCanonname,
  MAX_SCOPE_ID,
  serviceKinds,
} from '../../base/address-info.ts';
import {
  AI_ADDRCONFIG,
  AI_ALL,
  AI_CANONNAME,
  AI_NUMERICHOST,
  AI_NUMERICSERV,
  AI_PASSIVE,
  AI_V4MAPPED,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NI_DGRAM,
  NI_NAMEREQD,
  NI_NOFQDN,
  NI_NUMERICHOST,
  NI_NUMERICSERV,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../base/constants.ts';
import { nameError } from '../../base/name-error.ts';
import {
  checkInteger,
  checkOptions,
  checkPort,
  checkSignal,
  checkString,
  invalidArgType,
  outOfRange,
} from '../../base/validate.ts';
import { capability, checkSupports } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import { checkFamily } from '../stream/connect.ts';
import { checkedHost, checkedPort } from './resolve.ts';

export interface GetaddrinfoOptions extends SignalOptions {
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` (default) for both. */
  family?: number;
  /** `SOCK_STREAM`, `SOCK_DGRAM`, or 0 (default) for both. */
  type?: number;
  /** `IPPROTO_TCP`, `IPPROTO_UDP`, or 0 (default) for both. */
  proto?: number;
  /** `AI_` flags. Default: 0. */
  flags?: number;
}

const OPTIONS = ['family', 'type', 'proto', 'flags', 'signal'];
const AI_FLAGS =
  AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_NUMERICSERV | AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL;
const NI_FLAGS = NI_NUMERICHOST | NI_NUMERICSERV | NI_NAMEREQD | NI_DGRAM | NI_NOFQDN;
const MAX_FLOWINFO = 0xfffff;

/** See `BaseEventLoop.getaddrinfo`. */
export function getaddrinfo(
  loop: Loop,
  host: string | null,
  port: number | string | null,
  options: GetaddrinfoOptions,
): Future<AddressInfo[]> {
  const query = checkedQuery(host, port, options);
  const { signal } = options;
  checkSupports(loop, 'names');
  return ask<AddressInfo[]>(loop, `looking up ${host || 'this machine'}`, signal, (request) => {
    // A rejection, as from getaddrinfo(3), and not an argument error: host and port may both be user input.
    if (query.host === null && port === null) throw nameError('getaddrinfo', 'ENOTFOUND', '');
    checkFlagsFit(query);
    const known = knownInfos(query);
    if (known === null) return capability(loop, 'names').resolve(query, answering(request));
    request.succeed(known);
    return null;
  });
}

/** See `BaseEventLoop.getnameinfo`. */
export function getnameinfo(
  loop: Loop,
  sockaddr: SocketAddress,
  flags: number,
  options: SignalOptions,
): Future<[host: string, service: string]> {
  const query = checkedAddress(sockaddr, flags);
  checkOptions('options', options, ['signal']);
  checkSignal('options.signal', options.signal);
  checkSupports(loop, 'names');
  const what = `looking up the name of ${formatAddress(query.address)}`;
  return ask<[string, string]>(loop, what, options.signal, (request) => {
    if ((flags & NI_NUMERICHOST) !== 0 && (flags & NI_NAMEREQD) !== 0) {
      throw nameError('getnameinfo', 'ENOTFOUND', query.address[0] as string);
    }
    if (!isNumeric(query)) {
      return capability(loop, 'names').nameOf(query, (error, host, service) =>
        answering(request)(error, [host, service]),
      );
    }
    request.succeed([query.address[0] as string, String(query.address[1])]);
    return null;
  });
}

/**
 * Starts a look-up. `begin` asks the system, or completes the request at once; the ready queue delivers the
 * result in both cases. If `begin` throws, the future is rejected.
 */
function ask<T>(
  loop: Loop,
  what: string,
  signal: AbortSignal | undefined,
  begin: (request: HostOperation<T>) => RawRequest | null,
): Future<T> {
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<T>(loop), signal);
  const request = HostOperation.begin<T>(
    loop,
    what,
    () => {},
    (asked) => {
      try {
        const raw = begin(asked);
        return () => raw?.cancel();
      } catch (error) {
        asked.fail(error);
        return () => {};
      }
    },
  );
  return cancelOnAbort(request, signal);
}

function answering<T>(request: HostOperation<T>): (error: Error | null, value: T) => void {
  return (error, value) => {
    if (error === null) request.succeed(value);
    else request.fail(error);
  };
}

function checkedQuery(
  host: string | null,
  port: number | string | null,
  options: GetaddrinfoOptions,
): ResolveQuery {
  const asked = host === null ? '' : checkedHost('host', host);
  checkOptions('options', options, OPTIONS);
  const { family = 0, type = 0, proto = 0, flags = 0, signal } = options;
  checkFamily(family);
  if (![0, SOCK_STREAM, SOCK_DGRAM].includes(type)) {
    throw outOfRange('options.type', type, 'SOCK_STREAM, SOCK_DGRAM or 0');
  }
  if (![0, IPPROTO_TCP, IPPROTO_UDP].includes(proto)) {
    throw outOfRange('options.proto', proto, 'IPPROTO_TCP, IPPROTO_UDP or 0');
  }
  checkFlags('options.flags', flags, AI_FLAGS, 'AI_');
  checkSignal('options.signal', signal);
  const service = port === null || port === '' ? 0 : checkedPort('port', port);
  return { host: asked === '' ? null : asked, port: service, family, type, proto, flags };
}

function checkFlags(name: string, flags: number, known: number, prefix: string): void {
  checkInteger(name, flags, 0, 0xffff);
  if ((flags & ~known) !== 0)
    throw outOfRange(name, flags, `a combination of the ${prefix} flags that gyre exports`);
}

/** Rejects combinations of flags that `getaddrinfo(3)` rejects. */
function checkFlagsFit({ host, port, flags }: ResolveQuery): void {
  if (host === null && (flags & AI_CANONNAME) !== 0) {
    throw nameError('getaddrinfo', 'EAI_BADFLAGS', '', 'AI_CANONNAME needs a host');
  }
  if (typeof port === 'string' && (flags & AI_NUMERICSERV) !== 0) {
    throw nameError('getaddrinfo', 'ENOTFOUND', host ?? '', `AI_NUMERICSERV, and ${port} is no number`);
  }
}

/**
 * Returns the result if it is known without the system: a literal host or none, and no name of a service or
 * interface. Null: the system must be asked.
 */
function knownInfos({ host, port, family, type, proto, flags }: ResolveQuery): AddressInfo[] | null {
  if (typeof port === 'string' || (flags & AI_ADDRCONFIG) !== 0) return null;
  const kinds = serviceKinds(host, type, proto, () => port);
  const addresses = hostAddresses(host, family, flags);
  if (addresses === null || addresses.some((address) => knownScope(host, address) === null)) return null;
  return addressInfos(
    addresses,
    kinds,
    literalCanonname(host, flags),
    (address) => knownScope(host, address) as number,
  );
}

function checkedAddress(sockaddr: unknown, flags: number): NameQuery {
  if (!Array.isArray(sockaddr) || (sockaddr.length !== 2 && sockaddr.length !== 4)) {
    throw invalidArgType('sockaddr', sockaddr, 'a [host, port] or a [host, port, flowinfo, scopeId]');
  }
  const [host, port, flowinfo = 0, scopeId = 0] = sockaddr as [string, number, number?, number?];
  checkString('sockaddr[0]', host);
  checkPort('sockaddr[1]', port);
  checkInteger('sockaddr[2]', flowinfo, 0, MAX_FLOWINFO);
  checkInteger('sockaddr[3]', scopeId, 0, MAX_SCOPE_ID);
  checkFlags('flags', flags, NI_FLAGS, 'NI_');
  return { address: canonical(host, port, flowinfo, scopeId, sockaddr.length), flags };
}

function canonical(
  host: string,
  port: number,
  flowinfo: number,
  scopeId: number,
  length: number,
): Inet4Address | Inet6Address {
  const family = literalFamily(host);
  if (family === 0 || (family === 4 && length === 4)) {
    throw outOfRange('sockaddr', host, 'an IPv4 address with a port, or an IPv6 address: not a name');
  }
  if (family === 4) return [host, port];
  const [address, zone] = splitZone(host);
  // The numeric scope wins. Keep a zone in the host: the host's own API writes addresses in this way.
  const kept = scopeId !== 0 || zone === '' ? '' : `%${zone}`;
  return [canonicalIPv6(address) + kept, port, flowinfo, scopeId];
}

/** Tells whether the result needs no names, not even that of an interface. */
function isNumeric({ address, flags }: NameQuery): boolean {
  const wanted = NI_NUMERICHOST | NI_NUMERICSERV;
  return (flags & wanted) === wanted && (address.length !== 4 || address[3] === 0);
}
