/** Names and addresses. Types only. */
import type { AddressInfo, Inet4Address, Inet6Address } from '../base/address.ts';
import type { RawRequest } from './request.ts';

export interface Names {
  /**
   * Looks up names, as the system's `getaddrinfo` does. The layer above answers everything that needs no
   * look-up.
   */
  resolve(query: ResolveQuery, onDone: (error: Error | null, found: AddressInfo[]) => void): RawRequest;
  /** Looks up the names of an address, as the system's `getnameinfo` does. */
  nameOf(query: NameQuery, onDone: (error: Error | null, host: string, service: string) => void): RawRequest;
}

export interface ResolveQuery {
  /**
   * A name or a literal address, which may have a zone. null: this machine, or every interface with
   * `AI_PASSIVE`.
   */
  host: string | null;
  /** A number, or the name of a service. */
  port: number | string;
  /** 0, `AF_INET` or `AF_INET6`. */
  family: number;
  /** 0: all types. */
  type: number;
  /** 0: all protocols. */
  proto: number;
  /** `AI_` flags. */
  flags: number;
}

export interface NameQuery {
  /**
   * An IPv4 or IPv6 address. The host is a literal in the system's spelling, and has a zone only if the scope
   * id is 0.
   */
  address: Inet4Address | Inet6Address;
  /** `NI_` flags. */
  flags: number;
}
