/** From host and port to socket addresses. A literal address asks nobody. */
import type { AddressInfo, SocketAddress } from '../base/address.ts';
import { literalFamily } from '../base/address.ts';
import { AF_INET, AF_INET6, AF_UNSPEC, AI_PASSIVE } from '../base/constants.ts';
import { outOfRange } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { Future } from '../tasks/future.ts';
import { HostRequest } from './host-request.ts';

export interface ResolveOptions {
  /** `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for both. */
  family: number;
  /** `AI_` flags. With `AI_PASSIVE` no host means every interface, else this machine. */
  flags: number;
}

/** The addresses of `host`, with `port`, in the resolver's order. Fails with the resolver's error (`ENOTFOUND`). */
export async function resolve(
  loop: Loop,
  host: string | null,
  port: number,
  options: ResolveOptions,
): Promise<SocketAddress[]> {
  const known = withoutAsking(host, port, options);
  if (known !== null) return known;
  const found = await lookUp(loop, host as string, options);
  return found.map(({ sockaddr }) => withPort(sockaddr, port));
}

/** The addresses of a literal or of no host; null for a name. */
export function withoutAsking(
  host: string | null,
  port: number,
  { family, flags }: ResolveOptions,
): SocketAddress[] | null {
  if (host === null || host === '') {
    const passive = (flags & AI_PASSIVE) !== 0;
    const v4: SocketAddress = [passive ? '0.0.0.0' : '127.0.0.1', port];
    const v6: SocketAddress = [passive ? '::' : '::1', port, 0, 0];
    if (family === AF_UNSPEC) return passive ? [v4, v6] : [v6, v4];
    return family === AF_INET6 ? [v6] : [v4];
  }
  const literal = literalFamily(host);
  if (literal === 0) return null;
  const literalAf = literal === 6 ? AF_INET6 : AF_INET;
  if (family !== AF_UNSPEC && family !== literalAf) {
    throw outOfRange('host', host, `an address of the family that was asked for (${family})`);
  }
  return [literal === 6 ? [host, port, 0, 0] : [host, port]];
}

export function addressFamily(address: SocketAddress): number {
  return address.length === 4 ? AF_INET6 : AF_INET;
}


function withPort(address: SocketAddress, port: number): SocketAddress {
  return address.length === 4
    ? [address[0] as string, port, address[2] as number, address[3] as number]
    : [address[0] as string, port];
}

function lookUp(loop: Loop, host: string, options: ResolveOptions): Future<AddressInfo[]> {
  const request = new HostRequest<AddressInfo[]>(loop, `looking up ${host}`, () => {});
  const raw = loop._backend.resolve({ host, ...options }, (error, found) => {
    if (error === null) request.succeed(found);
    else request.fail(error);
  });
  request.onGiveUp(() => raw.cancel());
  return request;
}
