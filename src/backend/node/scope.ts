/**
 * Scopes of IPv6: Node writes the name of an interface behind the address (`fe80::1%eth0`), the contract has
 * its number as the last part. On Windows the name is the number.
 */
import type { SocketAddress } from '../../base/address.ts';
import { scopeIdOf, zoneOf } from './network-interfaces.ts';

/** Numbers by name, once known: to ask the system costs more than a datagram. */
const known: Map<string, number> = new Map();

export function toSocketAddress(host: string, port: number): SocketAddress {
  if (!host.includes(':')) return [host, port];
  const percent = host.indexOf('%');
  if (percent < 0) return [host, port, 0, 0];
  const scopeId = numberOf(host.slice(percent + 1));
  // An interface that is gone by now: its name is all that is left.
  return scopeId === null ? [host, port, 0, 0] : [host.slice(0, percent), port, 0, scopeId];
}

/** The host as Node takes it. */
export function toHost(address: SocketAddress): string {
  const [host, , , scopeId = 0] = address as readonly [string, number, number?, number?];
  return scopeId === 0 ? host : `${host}%${nameOf(scopeId)}`;
}

function numberOf(zone: string): number | null {
  if (/^\d+$/.test(zone)) return Number(zone);
  const scopeId = known.get(zone) ?? scopeIdOf(zone);
  if (scopeId !== null) known.set(zone, scopeId);
  return scopeId;
}

/** What is no interface is named by its number, and the system says what it thinks of it. */
function nameOf(scopeId: number): string {
  for (const [name, number] of known) if (number === scopeId) return name;
  const zone = zoneOf(scopeId);
  if (zone !== String(scopeId)) known.set(zone, scopeId);
  return zone;
}
