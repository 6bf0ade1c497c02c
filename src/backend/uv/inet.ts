/**
 * Internet addresses as the system has them. To print and to parse an IPv4 address, there a word in network
 * order, costs as much as to receive a datagram: so those that were seen are remembered.
 */
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET } from '../../base/constants.ts';
import { addon } from './dispatch.ts';
import { scopeOf } from './scope.ts';

/** Bytes that the native part has for an address, of either family. */
export const ADDRESS_BYTES = 32;

/** Of either; when there are more, it begins anew. */
const MOST_KNOWN = 4096;
const hosts: Map<number, string> = new Map();
const words: Map<string, number> = new Map();

/**
 * @param word as it stands in the system's memory, read as a number of this machine (which is little-endian)
 */
export function hostOf(word: number): string {
  let host = hosts.get(word);
  if (host === undefined) {
    host = `${word & 255}.${(word >> 8) & 255}.${(word >> 16) & 255}.${word >>> 24}`;
    remember(host, word);
  }
  return host;
}

/** Null for what is no dotted quad. */
export function wordOf(host: string): number | null {
  const known = words.get(host);
  if (known !== undefined) return known;
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  if (match === null) return null;
  const [a, b, c, d] = match.slice(1).map(Number) as [number, number, number, number];
  if (Math.max(a, b, c, d) > 255) return null;
  const word = a | (b << 8) | (c << 16) | (d << 24);
  remember(host, word);
  return word;
}

/** A socket address in memory, as Linux lays it out. */
export function addressIn(memory: Buffer, at: number): SocketAddress {
  if (memory.readUInt16LE(at) === AF_INET) {
    return [hostOf(memory.readInt32LE(at + 4)), memory.readUInt16BE(at + 2)];
  }
  return addon().unpackAddress(memory.subarray(at, at + ADDRESS_BYTES)) as SocketAddress;
}

function remember(host: string, word: number): void {
  if (words.size === MOST_KNOWN) {
    words.clear();
    hosts.clear();
  }
  words.set(host, word);
  hosts.set(word, host);
}

/** A port in the system's order, which is the other one. */
export function swapped(port: number): number {
  return ((port & 255) << 8) | (port >>> 8);
}

/** Of any, as a whole; or an error. */
export function packed(address: SocketAddress): Uint8Array | number {
  const [host, scope] = scopeOf(address as Exclude<SocketAddress, string>);
  return addon().packAddress(host, address[1] as number, scope);
}
