/** Name resolution by getaddrinfo and getnameinfo, on libuv's threads. */

import type { AddressInfo, SocketAddress } from '../../base/address.ts';
import { AI_NUMERICSERV, SOCK_DGRAM, SOCK_STREAM } from '../../base/constants.ts';
import { hostNextTick } from '../../base/host.ts';
import type { NameQuery, RawRequest, ResolveQuery } from '../backend.ts';
import type { Id } from './addon.ts';
import type { Target } from './dispatch.ts';
import { addon, register, unregister } from './dispatch.ts';
import { systemError } from './errors.ts';
import { scopeOf } from './scope.ts';

export function resolveName(
  query: ResolveQuery,
  onDone: (error: Error | null, found: AddressInfo[]) => void,
): RawRequest {
  const { host, port, family, type, proto, flags } = query;
  const numeric = typeof port === 'number' ? AI_NUMERICSERV : 0;
  const id = addon().getaddrinfo(host, String(port), family, type, proto, flags | numeric);
  return new Lookup(id, 'getaddrinfo', host ?? '', (error) => {
    if (error !== null) {
      onDone(error, []);
      return;
    }
    const found = addon()
      .takeAddresses(id)
      // The system also lists raw sockets. gyre opens none.
      .filter(([, kind]) => kind === SOCK_STREAM || kind === SOCK_DGRAM)
      .map(([foundFamily, kind, protocol, canonname, sockaddr]) => ({
        family: foundFamily,
        type: kind,
        proto: protocol,
        canonname,
        sockaddr: sockaddr as SocketAddress,
      }));
    onDone(null, found);
  });
}

export function nameOf(
  { address, flags }: NameQuery,
  onDone: (error: Error | null, host: string, service: string) => void,
): RawRequest {
  const [host, scope] = scopeOf(address);
  const id = addon().getnameinfo(host, address[1], scope, flags);
  return new Lookup(id, 'getnameinfo', address[0], (error) => {
    const [name, service] = error === null ? addon().takeNames(id) : ['', ''];
    onDone(error, name, service);
  });
}

/** A look-up. Its thread cannot be stopped, so `cancel()` drops the answer. */
class Lookup implements RawRequest, Target {
  readonly id: Id;
  readonly #syscall: string;
  readonly #host: string;
  readonly #onDone: (error: Error | null) => void;
  #wanted: boolean = true;

  constructor(id: Id, syscall: string, host: string, onDone: (error: Error | null) => void) {
    this.id = id;
    this.#syscall = syscall;
    this.#host = host;
    this.#onDone = onDone;
    if (id >= 0) register(this);
    else hostNextTick(() => this.#done(id));
  }

  onEvent(_kind: number, errno: number): void {
    unregister(this);
    this.#done(errno);
    // After a failure there is no answer to take, so free the lookup here.
    if (errno !== 0) addon().forget(this.id);
  }

  cancel(): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    if (this.id < 0) return;
    unregister(this);
    addon().forget(this.id);
  }

  #done(errno: number): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    if (errno === 0) {
      this.#onDone(null);
      return;
    }
    const error = systemError(errno, this.#syscall) as NodeJS.ErrnoException;
    // Node uses this code for both errors, and so do all backends.
    if (error.code === 'EAI_NONAME' || error.code === 'EAI_NODATA') error.code = 'ENOTFOUND';
    const why = error.code === 'EAI_SERVICE' ? ': no such service' : '';
    error.message = `${this.#syscall} ${error.code} ${this.#host}${why}`;
    this.#onDone(Object.assign(error, { hostname: this.#host }));
  }
}
