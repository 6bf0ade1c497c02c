/**
 * The canonical name of a host whose addresses the system's resolver has found.
 *
 * Node asks getaddrinfo() for addresses only, not for the canonical name. So this file looks where the
 * system's resolver looks by default. If a line of the hosts file has one of the addresses, the first name of
 * the line is canonical. Otherwise the DNS name at the end of the aliases is canonical. Names from other
 * sources (multicast DNS, a directory) cannot be found this way; they are an error, not a guess.
 */
import type { promises as dns } from 'node:dns';
import { hostname } from 'node:os';
import { canonicalIPv6, literalFamily, mappedIPv4, splitZone } from '../../base/address.ts';
import { LoopError } from '../../base/errors.ts';
import { nameError } from '../../base/name-error.ts';
import { systemFile } from './system-file.ts';

/** A longer chain of aliases is treated as a cycle, as resolvers do. */
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
  // These names must not be sent to a DNS server (RFC 6761).
  if (name === 'localhost' || name.endsWith('.localhost')) return spelled;
  for (const candidate of candidates(spelled, host.endsWith('.'))) {
    const end = await endOfAliases(resolver, host, candidate);
    if (end !== null) return end;
  }
  if (name === hostname().toLowerCase()) return spelled;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    `the canonical name of ${host} is neither in the hosts file nor in the DNS, and Node cannot ask the system for it`,
  );
}

/** Returns the first name in the hosts file for one of its aliases, or null. */
export function hostsFileName(name: string): string | null {
  const line = systemFile('hosts').find(([, ...names]) => names.includes(name));
  return line?.[1] ?? null;
}

/**
 * Returns the name at the end of a chain of aliases, which is the name itself if it has no alias. Returns
 * null if the name does not exist.
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

/**
 * Returns the names under which the system looks up a name. A name without a dot is tried in the search
 * domains first.
 */
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

/** Returns one spelling for each address. An IPv4 address inside IPv6 becomes the IPv4 address. */
function oneSpelling(address: string): string {
  if (literalFamily(address) !== 6) return address;
  const [text] = splitZone(address);
  return mappedIPv4(text) ?? canonicalIPv6(text);
}
