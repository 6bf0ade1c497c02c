/**
 * `node:dns` inside a host: the names of the world.
 *
 * The name servers of a world know addresses alone, so a question for another kind of record finds nothing.
 */
import { AsyncResource } from 'node:async_hooks';
import dns from 'node:dns';
import net from 'node:net';
import type { AddressInfo } from '../../base/address.ts';
import { AF_INET, AF_INET6, AF_UNSPEC, SOCK_STREAM } from '../../base/constants.ts';
import type { Place } from '../place.ts';
import type { AnyFunction, Patches } from './patches.ts';

type Callback = (error: Error | null, ...results: unknown[]) => void;

interface LookupAddress {
  readonly address: string;
  readonly family: number;
}

interface LookupOptions {
  readonly family?: number | 'IPv4' | 'IPv6' | undefined;
  readonly hints?: number | undefined;
  readonly all?: boolean | undefined;
  readonly order?: string | undefined;
  readonly verbatim?: boolean | undefined;
}

export function patchDns(patches: Patches): void {
  patches.method(dns, 'lookup', (original) => (place, args) => lookupWith(place, args, original));
  patches.method(dns.promises, 'lookup', (original) => (place, args) => lookupPromise(place, args, original));
  patches.method(dns, 'lookupService', (original) => (place, args) => {
    const [address, port, callback] = args as [string, number, Callback];
    if (!isAddressAndPort(address, port) || typeof callback !== 'function') return original(...args);
    later(place, callback, (done) => serviceOf(place, address, port, done));
    return undefined;
  });
  patches.method(dns.promises, 'lookupService', (original) => (place, args) => {
    const [address, port] = args as [string, number];
    if (!isAddressAndPort(address, port)) return original(...args);
    return promised(place, (done) => {
      serviceOf(place, address, port, (error, hostname, service) => done(error, { hostname, service }));
    });
  });
  for (const target of [dns, dns.Resolver.prototype]) {
    for (const [name, ask] of Object.entries(QUESTIONS)) {
      patches.method(target, name, (original) => (place, args, self) => {
        const callback = args.at(-1) as Callback;
        if (typeof args[0] !== 'string' || typeof callback !== 'function') return original.apply(self, args);
        later(place, callback, (done) => ask(place, args[0] as string, args.slice(1, -1), done));
        return {};
      });
    }
  }
  for (const target of [dns.promises, dns.promises.Resolver.prototype]) {
    for (const [name, ask] of Object.entries(QUESTIONS)) {
      patches.method(target, name, (original) => (place, args, self) => {
        if (typeof args[0] !== 'string') return original.apply(self, args);
        return promised(place, (done) => ask(place, args[0] as string, args.slice(1), done));
      });
    }
  }
}

// --- lookup ---

function lookupWith(place: Place, args: unknown[], original: AnyFunction): unknown {
  const callback = args.at(-1) as Callback;
  const options = optionsOf(args.length > 2 ? args[1] : undefined);
  // The original answers literals at once, and throws for wrong arguments.
  if (options === null || typeof callback !== 'function' || !isName(args[0])) return original(...args);
  later(place, callback, (done) =>
    addressesOf(place, args[0] as string, options, (error, found) => {
      if (error !== null) done(error);
      else if (options.all === true) done(null, found);
      else done(null, found[0]?.address, found[0]?.family);
    }),
  );
  return {};
}

function lookupPromise(place: Place, args: unknown[], original: AnyFunction): unknown {
  const options = optionsOf(args[1]);
  if (options === null || !isName(args[0])) return original(...args);
  return promised(place, (done) =>
    addressesOf(place, args[0] as string, options, (error, found) => {
      done(error, options.all === true ? found : found[0]);
    }),
  );
}

function isName(host: unknown): host is string {
  return typeof host === 'string' && host !== '' && net.isIP(host) === 0;
}

/** Returns null for options that Node rejects. */
function optionsOf(given: unknown): LookupOptions | null {
  if (given === undefined || given === null) return {};
  const options = typeof given === 'number' ? { family: given } : (given as LookupOptions);
  const isFamily = [undefined, 0, 4, 6, 'IPv4', 'IPv6'].includes(options.family);
  return typeof options === 'object' && isFamily ? options : null;
}

function addressesOf(
  place: Place,
  host: string,
  options: LookupOptions,
  done: (error: Error | null, found: LookupAddress[]) => void,
): void {
  const family = { 4: AF_INET, IPv4: AF_INET, 6: AF_INET6, IPv6: AF_INET6 }[options.family ?? 0] ?? AF_UNSPEC;
  const query = { host, port: 0, family, type: SOCK_STREAM, proto: 0, flags: options.hints ?? 0 };
  place.kernel.machine.names.resolve(query, (error, infos) => {
    done(error, error === null ? ordered(infos.map(lookupAddress), options) : []);
  });
}

function lookupAddress({ family, sockaddr }: AddressInfo): LookupAddress {
  return { address: sockaddr[0] as string, family: family === AF_INET6 ? 6 : 4 };
}

function ordered(found: LookupAddress[], { order, verbatim }: LookupOptions): LookupAddress[] {
  const chosen = order ?? (verbatim === false ? 'ipv4first' : dns.getDefaultResultOrder());
  if (chosen === 'verbatim') return found;
  const first = chosen === 'ipv6first' ? 6 : 4;
  return [
    ...found.filter(({ family }) => family === first),
    ...found.filter(({ family }) => family !== first),
  ];
}

// --- services ---

function isAddressAndPort(address: unknown, port: unknown): boolean {
  return typeof address === 'string' && net.isIP(address) !== 0 && Number.isInteger(port);
}

function serviceOf(place: Place, address: string, port: number, done: Callback): void {
  const sockaddr = net.isIP(address) === 6 ? ([address, port, 0, 0] as const) : ([address, port] as const);
  place.kernel.machine.names.nameOf({ address: [...sockaddr] as never, flags: 0 }, done);
}

// --- records ---

type Question = (place: Place, name: string, rest: unknown[], done: Callback) => void;

const RECORDS = ['Any', 'Caa', 'Cname', 'Mx', 'Naptr', 'Ns', 'Ptr', 'Soa', 'Srv', 'Tlsa', 'Txt'] as const;

const QUESTIONS: Readonly<Record<string, Question>> = {
  resolve4: (place, name, [options], done) => records(place, name, 4, options, done),
  resolve6: (place, name, [options], done) => records(place, name, 6, options, done),
  resolve: (place, name, [type = 'A'], done) => {
    if (type === 'A') records(place, name, 4, undefined, done);
    else if (type === 'AAAA') records(place, name, 6, undefined, done);
    else nothing(place, `query${titled(String(type))}`, name, done);
  },
  reverse: (place, address, _rest, done) => {
    serviceOf(place, address, 0, (error, host) => {
      if (error !== null || net.isIP(String(host)) !== 0)
        done(dnsError('ENOTFOUND', 'getHostByAddr', address));
      else done(null, [host]);
    });
  },
  ...Object.fromEntries(
    RECORDS.map((record): [string, Question] => [
      `resolve${record}`,
      (place, name, _rest, done) => nothing(place, `query${record}`, name, done),
    ]),
  ),
};

function titled(type: string): string {
  return type.slice(0, 1).toUpperCase() + type.slice(1).toLowerCase();
}

function records(place: Place, name: string, family: 4 | 6, options: unknown, done: Callback): void {
  const syscall = family === 4 ? 'queryA' : 'queryAaaa';
  const withTtl = (options as { ttl?: boolean } | undefined)?.ttl === true;
  addressesOf(place, name, { family }, (error, found) => {
    if (error !== null) {
      done(
        dnsError((error as { code?: string }).code === 'EAI_AGAIN' ? 'ETIMEOUT' : 'ENOTFOUND', syscall, name),
      );
    } else
      done(
        null,
        found.map(({ address }) => (withTtl ? { address, ttl: 0 } : address)),
      );
  });
}

function nothing(place: Place, syscall: string, name: string, done: Callback): void {
  place.soon(() => done(dnsError('ENODATA', syscall, name)));
}

function dnsError(code: string, syscall: string, hostname: string): Error {
  return Object.assign(new Error(`${syscall} ${code} ${hostname}`), {
    errno: undefined,
    code,
    syscall,
    hostname,
  });
}

// --- answers ---

/** Calls back in the async context of the question. */
function later(place: Place, callback: Callback, ask: (done: Callback) => void): void {
  const bound = AsyncResource.bind(callback);
  const letGo = place.keepAlive();
  ask((...results) => {
    letGo();
    bound(...results);
  });
}

function promised(place: Place, ask: (done: Callback) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    later(place, (error, result) => (error === null ? resolve(result) : reject(error)), ask);
  });
}
