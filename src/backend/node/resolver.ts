/** Name resolution with the system's resolver. */
import type { promises } from 'node:dns';
import { hostname } from 'node:os';
import type { AddressInfo } from '../../base/address.ts';
import { isLinkLocal, literalFamily, splitZone } from '../../base/address.ts';
import type { HostAddress } from '../../base/address-info.ts';
import {
  addressInfos,
  hostAddresses,
  knownScope,
  literalCanonname,
  serviceKinds,
} from '../../base/address-info.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  AI_ADDRCONFIG,
  AI_ALL,
  AI_CANONNAME,
  AI_V4MAPPED,
  IPPROTO_TCP,
  IPPROTO_UDP,
  NI_DGRAM,
  NI_NAMEREQD,
  NI_NOFQDN,
  NI_NUMERICHOST,
  NI_NUMERICSERV,
} from '../../base/constants.ts';
import { nameError } from '../../base/name-error.ts';
import { node } from '../../platform/node-modules.ts';
import type { NameQuery, RawRequest, ResolveQuery } from '../backend.ts';
import { configuredFamilies, scopeIdOf, zoneOf } from '../shared/network-interfaces.ts';
import { canonicalName, hostsFileName } from './canonical-name.ts';
import { portOf, serviceOf } from './services.ts';

/**
 * The number of times that a name server is asked, as in glibc. The system's configuration has the timeout.
 */
const DNS_TRIES = 2;

/**
 * The thread that looks up the name cannot be stopped. A cancel drops its result, and ends the requests that
 * need no thread.
 */
export function resolveName(
  query: ResolveQuery,
  onDone: (error: Error | null, found: AddressInfo[]) => void,
): RawRequest {
  const resolver = new LazyResolver();
  const request = listen(infosOf(query, resolver), (error, found) => onDone(error, found ?? []));
  return {
    cancel: () => {
      request.cancel();
      resolver.cancel();
    },
  };
}

export function nameOf(
  query: NameQuery,
  onDone: (error: Error | null, host: string, service: string) => void,
): RawRequest {
  return listen(namesOf(query), (error, names) => onDone(error, names?.[0] ?? '', names?.[1] ?? ''));
}

function listen<T>(promise: Promise<T>, onDone: (error: Error | null, value: T | null) => void): RawRequest {
  let listening = true;
  promise.then(
    (value) => {
      if (listening) onDone(null, value);
    },
    (error: Error) => {
      if (listening) onDone(error, null);
    },
  );
  return {
    cancel: () => {
      listening = false;
    },
  };
}

/** Asks name servers itself, without a thread, so that it can be cancelled. */
class LazyResolver {
  #resolver: promises.Resolver | null = null;
  #cancelled: boolean = false;

  get(): promises.Resolver {
    this.#resolver ??= new node.dns.promises.Resolver({ tries: DNS_TRIES });
    return this.#resolver;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#resolver?.cancel();
  }
}

/** Checks services before hosts, in the same order as getaddrinfo(3). */
async function infosOf(query: ResolveQuery, resolver: LazyResolver): Promise<AddressInfo[]> {
  const { host, port, type, proto, flags } = query;
  const kinds = serviceKinds(host, type, proto, (wanted) =>
    typeof port === 'number' ? port : portOf(port, wanted),
  );
  const family = familyToAsk(query);
  const known = hostAddresses(host, family, flags);
  if (known !== null) {
    return addressInfos(known, kinds, literalCanonname(host, flags), (address) => scopeOf(host, address));
  }
  const found = await lookUp(host as string, query);
  const wantsName = (flags & AI_CANONNAME) !== 0 && !resolver.cancelled;
  const name = wantsName ? await canonicalName(resolver.get(), host as string, found.map(text)) : '';
  return addressInfos(found, kinds, name, (address) => scopeOf(host, address));
}

/**
 * Returns the requested family, limited by `AI_ADDRCONFIG`. For a name, the system itself applies the flag.
 *
 * If only the loopback has addresses, and no family was requested, both families are allowed.
 */
function familyToAsk({ host, family, flags }: ResolveQuery): number {
  if ((flags & AI_ADDRCONFIG) === 0) return family;
  const { v4, v6 } = configuredFamilies();
  if (family === AF_UNSPEC) return v4 === v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
  if (family === AF_INET ? v4 : v6) return family;
  throw nameError('getaddrinfo', 'ENOTFOUND', host ?? '', 'this machine has no address of that family');
}

async function lookUp(host: string, query: ResolveQuery): Promise<HostAddress[]> {
  const family = query.family === AF_INET ? 4 : query.family === AF_INET6 ? 6 : AF_UNSPEC;
  const hints = query.flags & (AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL);
  const found = await node.dns.promises.lookup(host, { family, hints, all: true, verbatim: true });
  if (found.length === 0) throw nameError('getaddrinfo', 'ENOTFOUND', host);
  return found.map(({ address }) => {
    const [plain, zone] = splitZone(address);
    return { family: literalFamily(address) === 6 ? AF_INET6 : AF_INET, address: plain, zone };
  });
}

function text({ address }: HostAddress): string {
  return address;
}

function scopeOf(host: string | null, address: HostAddress): number {
  const scope = knownScope(host, address) ?? scopeIdOf(address.zone);
  if (scope === null) throw nameError('getaddrinfo', 'ENOTFOUND', host ?? '', `no interface ${address.zone}`);
  return scope;
}

async function namesOf({ address, flags }: NameQuery): Promise<[host: string, service: string]> {
  const port = address[1] as number;
  const numeric = numericHost(address);
  const named = (flags & NI_NUMERICHOST) === 0 ? await nameFor(numeric) : null;
  if (named === null && (flags & NI_NAMEREQD) !== 0) throw nameError('getnameinfo', 'ENOTFOUND', numeric);
  const proto = (flags & NI_DGRAM) === 0 ? IPPROTO_TCP : IPPROTO_UDP;
  const service = (flags & NI_NUMERICSERV) === 0 ? serviceOf(port, proto) : null;
  const host = named !== null && (flags & NI_NOFQDN) !== 0 ? withoutOwnDomain(named) : named;
  return [host ?? numeric, service ?? String(port)];
}

/** Returns null if the address has no name. */
async function nameFor(address: string): Promise<string | null> {
  try {
    // Node looks up the service, too, and needs a port for that.
    return (await node.dns.promises.lookupService(address, 0)).hostname;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTFOUND') return null;
    throw error;
  }
}

/** Adds the interface's name to a link-local address, and the number to other addresses. */
function numericHost(address: NameQuery['address']): string {
  const host = address[0] as string;
  const scope = address.length === 4 ? (address[3] as number) : 0;
  if (scope === 0) return host;
  return `${host}%${isLinkLocal(host) ? zoneOf(scope) : scope}`;
}

/**
 * Removes this machine's own domain from a name. The domain comes from this machine's host name, or from its
 * canonical form in the hosts file.
 */
function withoutOwnDomain(name: string): string {
  const own = hostname();
  const full = own.includes('.') ? own : (hostsFileName(own) ?? own);
  const dot = full.indexOf('.');
  const domain = dot < 0 ? '' : full.slice(dot);
  return domain !== '' && name.endsWith(domain) ? name.slice(0, -domain.length) : name;
}
