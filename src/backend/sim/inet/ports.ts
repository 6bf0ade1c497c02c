/** The ports of one protocol on a simulated host: who uses them, and who may share them. */
import type { Random } from '../random.ts';

/** The range from which the kernel chooses ports, as on Linux. */
export const FIRST_EPHEMERAL_PORT = 32_768;
export const EPHEMERAL_PORTS = 28_232;

/** A socket's claim to a port of an address. */
export interface PortUse {
  /** A literal of a packet: never an IPv4 address in IPv6 form. `0.0.0.0` and `::` are all addresses. */
  readonly host: string;
  readonly port: number;
  reuseAddress: boolean;
  reusePort: boolean;
  /** `::` without IPv4. */
  readonly ipv6Only: boolean;
  /** A program has bound it, so the kernel does not choose the port for a connection. */
  readonly bound: boolean;
  listening: boolean;
}

export class Ports<T extends PortUse> {
  readonly #uses: Map<number, Set<T>> = new Map();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Returns the uses of a port, in order of claim. */
  at(port: number): Iterable<T> {
    return this.#uses.get(port) ?? NOTHING;
  }

  claim(use: T): void {
    const uses = this.#uses.get(use.port);
    if (uses === undefined) this.#uses.set(use.port, new Set([use]));
    else uses.add(use);
  }

  release(use: T): void {
    const uses = this.#uses.get(use.port);
    if (uses?.delete(use) && uses.size === 0) this.#uses.delete(use.port);
  }

  /** Whether the use conflicts with another, as Linux decides. */
  conflicts(use: T): boolean {
    for (const other of this.at(use.port)) {
      if (other !== use && overlap(use, other) && !mayShare(use, other)) return true;
    }
    return false;
  }

  /** Returns a random port for which `isFree` returns true, or 0. */
  choose(isFree: (port: number) => boolean): number {
    const offset = this.#random.integer(EPHEMERAL_PORTS);
    for (let i = 0; i < EPHEMERAL_PORTS; i++) {
      const port = FIRST_EPHEMERAL_PORT + ((offset + i) % EPHEMERAL_PORTS);
      if (isFree(port)) return port;
    }
    return 0;
  }

  /** Whether no use of a port was bound by a program. */
  isUnbound(port: number): boolean {
    for (const use of this.at(port)) if (use.bound) return false;
    return true;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const uses of this.#uses.values()) yield* uses;
  }

  clear(): void {
    this.#uses.clear();
  }
}

const NOTHING: readonly never[] = [];

/** Two sockets may share a port with `SO_REUSEADDR` if none listens, and with `SO_REUSEPORT` in any case. */
function mayShare(use: PortUse, other: PortUse): boolean {
  if (use.reusePort && other.reusePort) return true;
  return use.reuseAddress && other.reuseAddress && !other.listening;
}

function overlap(one: PortUse, other: PortUse): boolean {
  return one.host === other.host || covers(one, other) || covers(other, one);
}

function covers(one: PortUse, other: PortUse): boolean {
  if (one.host === '::') return !one.ipv6Only || other.host.includes(':');
  if (one.host !== '0.0.0.0') return false;
  return !other.host.includes(':') || (other.host === '::' && !other.ipv6Only);
}

/**
 * Returns how well a socket fits a packet to `destination`, as Linux scores it: 0 is not at all. Its own
 * address is better than all addresses, and an IPv4 socket better than an IPv6 socket.
 */
export function fit(use: PortUse, destination: string): number {
  if (use.host === destination) return 3;
  if (use.host === '0.0.0.0') return destination.includes(':') ? 0 : 2;
  if (use.host !== '::') return 0;
  return use.ipv6Only && !destination.includes(':') ? 0 : 1;
}

/**
 * Returns a number below `count`, always the same for one sender, so that its packets go to one socket. The
 * n-th candidate replaces the one before with a probability of 1/n, so all are chosen equally often.
 */
export function flowHash(salt: number, source: string, port: number, count: number): number {
  let hash = Math.imul(salt ^ port, 0x9e3779b1) ^ count;
  for (let i = 0; i < source.length; i++) hash = Math.imul(hash ^ source.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) % count;
}
