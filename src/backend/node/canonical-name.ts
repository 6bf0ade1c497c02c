/**
 * The canonical name of a host that the system's resolver has found.
 *
 * Fact. Node asks getaddrinfo() for addresses only, never for the canonical name.
 *
 * What this means. It is found where the system's resolver finds it by default: in the hosts file, where the
 * first name of a line is the canonical one, if the line has an address that was found; else in the DNS, at
 * the end of the aliases. What the system knows from elsewhere (multicast DNS, a directory) cannot be told,
 * and is an error, not a guess.
 */
import type { promises as dns } from 'node:dns';
import { hostname } from 'node:os';
import { canonicalIPv6, literalFamily, mappedIPv4, splitZone } from '../../base/address.ts';
import { LoopError } from '../../base/errors.ts';
import { nameError } from '../../base/name-error.ts';
import { systemFile } from './system-file.ts';

/** A chain of aliases that is longer is taken for a circle: what resolvers do. */
const MAX_ALIASES = 16;

/** @param found the host's addresses */
export async function canonicalName(
  resolver: dns.Resolver,
  host: string,
  found: readonly string[],
): Promise<string> {
  const spelled = host.replace(/\.$/, '');
  const name = spelled.toLowerCase();
  const line = systemFile('hosts').find(
    ([address = '', ...names]) =>
      names.some((other) => other.toLowerCase() === name) && found.some((one) => isSame(one, address)),
  );
  if (line !== undefined) return line[1] as string;
  // Of these no DNS is to be asked (RFC 6761).
  if (name === 'localhost' || name.endsWith('.localhost')) return spelled;
  for (const candidate of candidates(spelled, host.endsWith('.'))) {
    const end = await endOfAliases(resolver, host, candidate);
    if (end !== null) return end;
  }
  if (name === hostname().toLowerCase()) return spelled;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `the canonical name of ${host} is neither in the hosts file nor in the DNS, and Node does not say what the system knows`,
  );
}

/** The first name of the hosts file for what is an alias there; null where it is not. */
export function hostsFileName(name: string): string | null {
  const line = systemFile('hosts').find(([, ...names]) => names.includes(name));
  return line?.[1] ?? null;
}

/**
 * The name at the end of a chain of aliases, the name itself where it is none; null where there is no such
 * name.
 */
async function endOfAliases(resolver: dns.Resolver, host: string, name: string): Promise<string | null> {
  let end = name;
  for (let aliases = 0; aliases < MAX_ALIASES; aliases++) {
    const next = await aliasOf(resolver, host, end);
    if (next === 'no such name') return aliases === 0 ? null : end;
    if (next === null) return end;
    end = next.target;
  }
  throw nameError('getaddrinfo', 'EAI_FAIL', host, `more than ${MAX_ALIASES} aliases`);
}

async function aliasOf(
  resolver: dns.Resolver,
  host: string,
  name: string,
): Promise<{ target: string } | 'no such name' | null> {
  try {
    const [target = ''] = await resolver.resolveCname(name);
    return target === '' ? null : { target };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA') return null;
    if (code === 'ENOTFOUND') return 'no such name';
    throw nameError('getaddrinfo', 'EAI_AGAIN', host, `its aliases could not be asked for (${code})`, error);
  }
}

/** The names under which the system looks a name up: a name without a dot first in the domains to search. */
function candidates(name: string, complete: boolean): string[] {
  if (complete) return [name];
  const searched = searchDomains().map((domain) => `${name}.${domain}`);
  return name.includes('.') ? [name, ...searched] : [...searched, name];
}

function searchDomains(): string[] {
  const lines = systemFile('resolv.conf').filter(([word]) => word === 'search' || word === 'domain');
  return (lines.at(-1) ?? []).slice(1).map((domain) => domain.replace(/\.$/, ''));
}

function isSame(found: string, listed: string): boolean {
  return oneSpelling(found) === oneSpelling(listed);
}

/** One spelling for each address, an IPv4 one in IPv6 being itself. */
function oneSpelling(address: string): string {
  if (literalFamily(address) !== 6) return address;
  const [text] = splitZone(address);
  return mappedIPv4(text) ?? canonicalIPv6(text);
}
