/** IPv6 zones: `fe80::1%eth0` is a host and the name of an interface. */
import type { SocketAddress } from '../../base/address.ts';
import { splitZone } from '../../base/address.ts';
import { scopeIdOf } from '../shared/network-interfaces.ts';

/** Returns the address without its zone, and the number of the zone's interface; 0: no zone. */
export function scopeOf(address: Exclude<SocketAddress, string>): [host: string, scope: number] {
  const [host, zone] = splitZone(address[0]);
  const scope = address.length === 4 ? address[3] : 0;
  if (zone === '' || scope !== 0) return [host, scope];
  return [host, /^\d+$/.test(zone) ? Number(zone) : (scopeIdOf(zone) ?? 0)];
}
