/** Names by the system's resolver. */
import { lookup } from 'node:dns';
import type { AddressInfo } from '../../base/address.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  AI_ADDRCONFIG,
  AI_ALL,
  AI_V4MAPPED,
  IPPROTO_TCP,
  SOCK_STREAM,
} from '../../base/constants.ts';
import type { RawRequest, ResolveQuery } from '../backend.ts';

/**
 * The thread that looks the name up cannot be stopped: cancelling only closes our ears.
 */
export function resolveName(
  query: ResolveQuery,
  onDone: (error: Error | null, found: AddressInfo[]) => void,
): RawRequest {
  let listening = true;
  const family = query.family === AF_INET ? 4 : query.family === AF_INET6 ? 6 : AF_UNSPEC;
  const hints = query.flags & (AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL);
  lookup(query.host, { family, hints, all: true, verbatim: true }, (error, addresses) => {
    if (!listening) return;
    onDone(error, error === null ? addresses.map(toInfo) : []);
  });
  return {
    cancel: () => {
      listening = false;
    },
  };
}

function toInfo({ address, family }: { address: string; family: number }): AddressInfo {
  return {
    family: family === 6 ? AF_INET6 : AF_INET,
    type: SOCK_STREAM,
    proto: IPPROTO_TCP,
    canonname: '',
    sockaddr: family === 6 ? [address, 0, 0, 0] : [address, 0],
  };
}
