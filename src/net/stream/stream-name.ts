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

/**
 * Returns the kind and the ends of a connection: `tcp 127.0.0.1:80 <- 127.0.0.1:49812`.
 *
 * @param arrow `<-` for an accepted connection, `->` for others
 */
export function streamFacts(info: StreamInfo, arrow: '<-' | '->', secure: boolean): string {
  const { direction, peername, sockname, family } = info;
  if (direction !== 'both') return `pipe to ${direction === 'read' ? 'read from' : 'write to'}`;
  const kind = secure ? 'tls' : family === AF_UNIX ? 'unix' : 'tcp';
  const ends = [sockname, peername].map((address) =>
    address === null || address === '' ? '' : formatAddress(address),
  );
  return [kind, ends[0], arrow, ends[1]].filter((part) => part !== '').join(' ');
}
