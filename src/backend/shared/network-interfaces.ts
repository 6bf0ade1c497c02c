/**
 * Network interfaces by name and by number. A link-local IPv6 address needs one of them.
 *
 * Node knows the number only of interfaces that have a link-local address, so not of the loopback. On Linux,
 * files tell the other numbers. Neither way needs a thread.
 */

import { networkInterfaces } from 'node:os';
import { node } from '../../platform/node-modules.ts';

const LINUX = '/sys/class/net';

/** Returns the scope id of an interface, or null if there is no interface of this name. */
export function scopeIdOf(zone: string): number | null {
  for (const address of networkInterfaces()[zone] ?? []) {
    if (address.family === 'IPv6' && address.scopeid !== 0) return address.scopeid;
  }
  return linuxIndex(zone);
}

/** Returns the interface of a scope id, or the number itself if there is none. */
export function zoneOf(scopeId: number): string {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (addresses.some((address) => address.family === 'IPv6' && address.scopeid === scopeId)) return name;
  }
  return linuxNames().find((name) => linuxIndex(name) === scopeId) ?? String(scopeId);
}

/** Returns the families in which this machine has an address besides the loopback, for `AI_ADDRCONFIG`. */
export function configuredFamilies(): { v4: boolean; v6: boolean } {
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list);
  const has = (family: string): boolean => addresses.some((one) => !one.internal && one.family === family);
  return { v4: has('IPv4'), v6: has('IPv6') };
}

function linuxIndex(name: string): number | null {
  try {
    return Number(node.fs.readFileSync(`${LINUX}/${name}/ifindex`, 'latin1'));
  } catch {
    // There is no such interface, or the system is not Linux.
    return null;
  }
}

function linuxNames(): string[] {
  try {
    return node.fs.readdirSync(LINUX);
  } catch {
    return [];
  }
}
