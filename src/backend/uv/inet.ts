/**
 * Internet addresses in the system's form. There an IPv4 address is a 32-bit word in network byte order. To
 * format or parse one costs as much as to receive a datagram, so known addresses are cached.
 */
import type { SocketAddress } from '../../base/address.ts';
import { AF_INET } from '../../base/constants.ts';
import { addon } from './dispatch.ts';
import { scopeOf } from './scope.ts';

/** Bytes of an address in the native part, for both families. */
export const ADDRESS_BYTES = 32;

/** The size of each cache. When it is full, it is emptied. */
const MOST_KNOWN = 4096;
const hosts: Map<number, string> = new Map();
const words: Map<string, number> = new Map();

/**
 * Returns the text of an IPv4 address.
 *
 * @param word the address in network byte order, read as a little-endian number
 */
export function hostOf(word: number): string {
  let host = hosts.get(word);
  if (host === undefined) {
    host = `${word & 255}.${(word >> 8) & 255}.${(word >> 16) & 255}.${word >>> 24}`;
    remember(host, word);
  }
  return host;
}

/** Returns the word of an IPv4 address; null if the host is not a dotted quad. */
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

/** Reads a socket address from memory, in Linux's layout. */
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

/** Returns a port in network byte order. */
export function inNetworkOrder(port: number): number {
  return ((port & 255) << 8) | (port >>> 8);
}

/** Returns the bytes of any address, or an error. */
export function packed(address: SocketAddress): Uint8Array | number {
  const [host, scope] = scopeOf(address as Exclude<SocketAddress, string>);
  return addon().packAddress(host, address[1] as number, scope);
}
