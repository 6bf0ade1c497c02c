/** Names a stream, for reports. */
import type { StreamInfo } from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
import { AF_UNIX } from '../../base/constants.ts';
import { describeValue } from '../../base/validate.ts';

export function streamName({ direction, peername, sockname, extra }: StreamInfo): string {
  if (direction !== 'both') {
    const pipe = Object.hasOwn(extra, 'pipe') ? ` (${describeValue(extra.pipe)})` : '';
    return `a pipe to ${direction === 'read' ? 'read from' : 'write to'}${pipe}`;
  }
  // The client of a unix socket has no address. The local path then names the connection.
  if (peername === '' && sockname) return `a connection over ${formatAddress(sockname)}`;
  return peername === null || peername === ''
    ? 'a connection'
    : `a connection with ${formatAddress(peername)}`;
}

/** Returns the kind and the ends of a connection. */
export function streamEnds(
  { direction, peername, sockname, family }: StreamInfo,
  secure: boolean,
): { kind: string; local: string | null; peer: string | null } {
  if (direction !== 'both') return { kind: 'pipe', local: null, peer: null };
  const [local = null, peer = null] = [sockname, peername].map((address) =>
    address === null || address === '' ? null : formatAddress(address),
  );
  return { kind: secure ? 'tls' : family === AF_UNIX ? 'unix' : 'tcp', local, peer };
}

/**
 * Returns the kind and the ends of a connection: `tcp 127.0.0.1:80 <- 127.0.0.1:49812`.
 *
 * @param arrow `<-` for an accepted connection, `->` for others
 */
export function streamFacts(info: StreamInfo, arrow: '<-' | '->', secure: boolean): string {
  if (info.direction !== 'both') return `pipe to ${info.direction === 'read' ? 'read from' : 'write to'}`;
  const { kind, local, peer } = streamEnds(info, secure);
  return [kind, local, arrow, peer].filter((part) => part !== null).join(' ');
}
