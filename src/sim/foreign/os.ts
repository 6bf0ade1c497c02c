/** `node:os` inside a host: its name and its interfaces. Everything else is that of the machine. */
import os from 'node:os';
import type { Place } from '../place.ts';
import type { Patches } from './patches.ts';

export function patchOs(patches: Patches): void {
  patches.method(os, 'hostname', () => (place) => place.hostName);
  patches.method(os, 'uptime', () => (place) => place.kernel.host.time());
  patches.method(os, 'networkInterfaces', () => (place) => interfacesOf(place));
}

/** The interfaces that every host has: see names.ts of the simulated backend. */
function interfacesOf({ kernel }: Place): NodeJS.Dict<os.NetworkInterfaceInfo[]> {
  const outside = kernel.host.addresses.map((address, i) => info(address, macOf(i), false));
  return {
    lo: [info('127.0.0.1', macOf(null), true), info('::1', macOf(null), true)],
    ...(outside.length > 0 ? { eth0: outside } : {}),
  };
}

function info(address: string, mac: string, internal: boolean): os.NetworkInterfaceInfo {
  if (address.includes(':')) {
    const netmask = internal ? 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' : 'ffff:ffff:ffff:ffff::';
    const cidr = `${address}/${internal ? 128 : 64}`;
    return { address, netmask, family: 'IPv6', mac, internal, cidr, scopeid: 0 };
  }
  const netmask = internal ? '255.0.0.0' : '255.255.255.0';
  return { address, netmask, family: 'IPv4', mac, internal, cidr: `${address}/${internal ? 8 : 24}` };
}

/** An address of the range that anybody may use. */
function macOf(index: number | null): string {
  return index === null ? '00:00:00:00:00:00' : `02:00:00:00:00:${index.toString(16).padStart(2, '0')}`;
}
