/**
 * Scopes of IPv6 addresses. Node appends the name of an interface to the address (`fe80::1%eth0`); gyre's
 * address has its number as the last element. On Windows the name is the number.
 */
import type { SocketAddress } from '../../base/address.ts';
import { scopeIdOf, zoneOf } from '../shared/network-interfaces.ts';

/** A cache of numbers by name, because asking the system costs more than sending a datagram. */
const known: Map<string, number> = new Map();

export function toSocketAddress(host: string, port: number): SocketAddress {
  if (!host.includes(':')) return [host, port];
  const percent = host.indexOf('%');
  if (percent < 0) return [host, port, 0, 0];
  const scopeId = numberOf(host.slice(percent + 1));
  // The interface no longer exists, so only its name is known.
  return scopeId === null ? [host, port, 0, 0] : [host.slice(0, percent), port, 0, scopeId];
}

/** Returns the host in the form that Node accepts. */
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

/** Passes the number of an unknown interface on; the system rejects it. */
function nameOf(scopeId: number): string {
  for (const [name, number] of known) if (number === scopeId) return name;
  const zone = zoneOf(scopeId);
  if (zone !== String(scopeId)) known.set(zone, scopeId);
  return zone;
}
