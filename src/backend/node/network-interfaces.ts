/**
 * Interfaces by name and by number: an IPv6 address of a link needs one.
 *
 * Fact. Node tells the number only of interfaces that have such an address themselves, which the loopback has
 * not. Linux tells the others in files. Neither takes a thread.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

const LINUX = '/sys/class/net';

/** The scope id of an interface; null where there is none of that name. */
export function scopeIdOf(zone: string): number | null {
  for (const address of networkInterfaces()[zone] ?? []) {
    if (address.family === 'IPv6' && address.scopeid !== 0) return address.scopeid;
  }
  return linuxIndex(zone);
}

/** The interface of a scope id; the number itself where there is none. */
export function zoneOf(scopeId: number): string {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (addresses.some((address) => address.family === 'IPv6' && address.scopeid === scopeId)) return name;
  }
  return linuxNames().find((name) => linuxIndex(name) === scopeId) ?? String(scopeId);
}

/** Which families this machine has an address of, its loopback not counted: what `AI_ADDRCONFIG` asks. */
export function configuredFamilies(): { v4: boolean; v6: boolean } {
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list);
  const has = (family: string): boolean => addresses.some((one) => !one.internal && one.family === family);
  return { v4: has('IPv4'), v6: has('IPv6') };
}

function linuxIndex(name: string): number | null {
  try {
    return Number(readFileSync(`${LINUX}/${name}/ifindex`, 'latin1'));
  } catch {
    // No such interface, or not Linux.
    return null;
  }
}

function linuxNames(): string[] {
  try {
    return readdirSync(LINUX);
  } catch {
    return [];
  }
}
