/** Names a stream, for reports. */
import type { StreamInfo } from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
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
