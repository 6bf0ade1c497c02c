/**
 * Name resolution on a simulated host: its hosts table, and the name servers of its world.
 *
 *   localhost, the own name, the names of other hosts    from the hosts table, at once
 *   every other name                                     from the name servers, after a while
 */
import type { AddressInfo } from '../../../base/address.ts';
import { canonicalIPv6, isLinkLocal, literalFamily } from '../../../base/address.ts';
import type { HostAddress } from '../../../base/address-info.ts';
import {
  addressInfos,
  hostAddresses,
  knownScope,
  literalCanonname,
  serviceKinds,
} from '../../../base/address-info.ts';
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
  NI_NUMERICHOST,
  NI_NUMERICSERV,
} from '../../../base/constants.ts';
import type { NameErrorCode } from '../../../base/name-error.ts';
import { nameError } from '../../../base/name-error.ts';
import type { NameQuery, Names, RawRequest, ResolveQuery } from '../../backend.ts';
import { lateBy } from '../choices.ts';
import { LOOPBACK_SECONDS } from '../fabric/fabric.ts';
import type { SimHost } from '../host.ts';
import { portOf, serviceOf } from './services.ts';

/** The answer of the name servers to one question. */
export interface NameAnswer {
  /** IPv4 and IPv6 literals, in the order of the answer. */
  readonly addresses: readonly string[];
  /** Default: the name itself. */
  readonly canonname?: string;
  /** Seconds until the answer comes. Default: {@link ANSWER_SECONDS}. */
  readonly delay?: number;
  /** The look-up fails. `ENOTFOUND` is `EAI_NONAME`; `EAI_AGAIN`: no name server has answered. */
  readonly error?: NameErrorCode;
}

/** The names that the world of a host knows. */
export interface WorldNames {
  /** Returns the addresses of another host by its name, or null. */
  addressesOf(name: string): readonly string[] | null;
  /** Returns the name of the host that has an address, or null. */
  nameOf(address: string): string | null;
  /** Asks the name servers. null: they do not know the name. */
  ask(name: string): NameAnswer | null;
}

/** Seconds that name servers take. */
export const ANSWER_SECONDS = 0.001;

const NO_WORLD: WorldNames = { addressesOf: () => null, nameOf: () => null, ask: () => null };

/** The interfaces of every host. */
const INTERFACES: Readonly<Record<string, number>> = { lo: 1, eth0: 2 };

interface Found {
  readonly addresses: readonly string[];
  readonly canonname: string;
}

export class HostNames implements Names {
  world: WorldNames = NO_WORLD;
  readonly #host: SimHost;

  constructor(host: SimHost) {
    this.#host = host;
  }

  resolve(query: ResolveQuery, onDone: (error: Error | null, found: AddressInfo[]) => void): RawRequest {
    const { host } = query;
    const known = host === null || literalFamily(host) !== 0 ? null : this.#inTable(host);
    const asks = host !== null && literalFamily(host) === 0 && known === null;
    const answer = asks ? this.world.ask(host.toLowerCase()) : null;
    const usual = asks ? (answer?.delay ?? ANSWER_SECONDS) : LOOPBACK_SECONDS;
    const { name, timeline } = this.#host;
    const isAsked = asks || known !== null;
    const delay = usual + (isAsked ? lateBy(timeline.choices, 'resolver', `${name} ${host}`) : 0);
    return this.#later(delay, onDone, () => this.#infos(query, known, answer), []);
  }

  nameOf(query: NameQuery, onDone: (error: Error | null, host: string, service: string) => void): RawRequest {
    const done = (error: Error | null, [host, service]: readonly [string, string]): void =>
      onDone(error, host, service);
    return this.#later(LOOPBACK_SECONDS, done, () => this.#names(query), ['', ''] as const);
  }

  /** Calls back with a result, or with the error of `work`. */
  #later<T>(
    seconds: number,
    onDone: (error: Error | null, result: T) => void,
    work: () => T,
    none: T,
  ): RawRequest {
    let wanted = true;
    const event = this.#host.kernelAfter(seconds, () => {
      this.#host.soon(() => {
        if (!wanted) return;
        let result = none;
        let failure: Error | null = null;
        try {
          result = work();
        } catch (error) {
          failure = error as Error;
        }
        onDone(failure, result);
      });
    });
    return {
      cancel: () => {
        wanted = false;
        event.cancel();
      },
    };
  }

  // --- addresses of names ---

  /** Checks services before hosts, in the same order as getaddrinfo(3). */
  #infos(query: ResolveQuery, known: Found | null, answer: NameAnswer | null): AddressInfo[] {
    const { host, port, type, proto, flags } = query;
    const kinds = serviceKinds(host, type, proto, (wanted) =>
      typeof port === 'number' ? port : portOf(port, wanted),
    );
    const family = this.#familyToAsk(query);
    const literal = hostAddresses(host, family, flags);
    if (literal !== null) {
      return addressInfos(literal, kinds, literalCanonname(host, flags), (address) => scopeOf(host, address));
    }
    const name = host as string;
    const { addresses, canonname } = known ?? answered(name, answer);
    const chosen = this.#sorted(ofFamily(addresses, family, flags));
    if (chosen.length === 0) throw nameError('getaddrinfo', 'ENOTFOUND', name);
    return addressInfos(chosen, kinds, (flags & AI_CANONNAME) === 0 ? '' : canonname, () => 0);
  }

  #inTable(name: string): Found | null {
    const plain = name.toLowerCase().replace(/\.$/, '');
    if (plain === 'localhost' || plain.endsWith('.localhost')) {
      return { addresses: ['::1', '127.0.0.1'], canonname: 'localhost' };
    }
    if (plain === this.#host.name.toLowerCase()) {
      const { addresses } = this.#host;
      return { addresses: addresses.length > 0 ? addresses : ['127.0.0.1'], canonname: this.#host.name };
    }
    const addresses = this.world.addressesOf(plain);
    return addresses === null ? null : { addresses, canonname: plain };
  }

  /** Returns the requested family, limited by `AI_ADDRCONFIG`. */
  #familyToAsk({ host, family, flags }: ResolveQuery): number {
    if ((flags & AI_ADDRCONFIG) === 0) return family;
    const { addresses } = this.#host;
    const v6 = addresses.some((address) => address.includes(':'));
    const v4 = addresses.some((address) => !address.includes(':'));
    if (family === AF_UNSPEC) return v4 === v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
    if (family === AF_INET ? v4 : v6) return family;
    throw nameError('getaddrinfo', 'ENOTFOUND', host ?? '', 'this host has no address of that family');
  }

  /** Sorts by RFC 6724, as far as it matters in one flat network: usable first, then by precedence. */
  #sorted(addresses: readonly HostAddress[]): HostAddress[] {
    const rank = ({ family, address }: HostAddress): number => {
      const isIPv6 = family === AF_INET6;
      const isUsable =
        isLoopback(address) || this.#host.addresses.some((own) => own.includes(':') === isIPv6);
      return (isUsable ? 0 : 100) + precedence(address);
    };
    return [...addresses].sort((one, other) => rank(one) - rank(other));
  }

  // --- names of addresses ---

  #names({ address, flags }: NameQuery): readonly [string, string] {
    const [host, port] = address as readonly [string, number];
    const numeric = numericHost(address);
    const named = (flags & NI_NUMERICHOST) === 0 ? this.#nameFor(host) : null;
    if (named === null && (flags & NI_NAMEREQD) !== 0) throw nameError('getnameinfo', 'ENOTFOUND', numeric);
    const proto = (flags & NI_DGRAM) === 0 ? IPPROTO_TCP : IPPROTO_UDP;
    const service = (flags & NI_NUMERICSERV) === 0 ? serviceOf(port, proto) : null;
    return [named ?? numeric, service ?? String(port)];
  }

  #nameFor(address: string): string | null {
    if (isLoopback(address)) return 'localhost';
    return this.#host.addresses.includes(address) ? this.#host.name : this.world.nameOf(address);
  }
}

function answered(name: string, answer: NameAnswer | null): Found {
  if (answer === null) throw nameError('getaddrinfo', 'ENOTFOUND', name);
  if (answer.error !== undefined) throw nameError('getaddrinfo', answer.error, name);
  return { addresses: answer.addresses, canonname: answer.canonname ?? name };
}

/** Returns the addresses of a family. IPv4 addresses become IPv6 addresses with `AI_V4MAPPED`. */
function ofFamily(addresses: readonly string[], family: number, flags: number): HostAddress[] {
  const all = addresses.map((address) => hostAddress(address));
  if (family === AF_UNSPEC) return all;
  const found = all.filter((one) => one.family === family);
  const isMapped = family === AF_INET6 && (flags & AI_V4MAPPED) !== 0;
  if (!isMapped || (found.length > 0 && (flags & AI_ALL) === 0)) return found;
  const mapped = all.filter((one) => one.family === AF_INET);
  return [...found, ...mapped.map(({ address }) => ({ ...hostAddress(`::ffff:${address}`) }))];
}

function hostAddress(address: string): HostAddress {
  return literalFamily(address) === 6
    ? { family: AF_INET6, address: canonicalIPv6(address), zone: '' }
    : { family: AF_INET, address, zone: '' };
}

/** The order of the policy table of RFC 6724: loopback, IPv6, IPv4, local IPv6. */
function precedence(address: string): number {
  if (address === '::1') return 0;
  if (!address.includes(':') || address.startsWith('::ffff:')) return 2;
  return /^f[cd]/.test(address) ? 3 : 1;
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function scopeOf(host: string | null, address: HostAddress): number {
  const scope = knownScope(host, address) ?? INTERFACES[address.zone];
  if (scope === undefined)
    throw nameError('getaddrinfo', 'ENOTFOUND', host ?? '', `no interface ${address.zone}`);
  return scope;
}

/** Adds the interface's name to a link-local address, and the number to other addresses. */
function numericHost(address: NameQuery['address']): string {
  const host = address[0] as string;
  const scope = address.length === 4 ? (address[3] as number) : 0;
  if (scope === 0) return host;
  const name = Object.keys(INTERFACES).find((known) => INTERFACES[known] === scope);
  return `${host}%${isLinkLocal(host) ? (name ?? scope) : scope}`;
}
