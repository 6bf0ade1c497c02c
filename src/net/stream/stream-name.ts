/** A stream in words, for reports. */
import type { StreamInfo } from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
import { describeValue } from '../../base/validate.ts';

export function streamName({ direction, peername, sockname, extra }: StreamInfo): string {
  if (direction !== 'both') {
    const pipe = Object.hasOwn(extra, 'pipe') ? ` (${describeValue(extra.pipe)})` : '';
    return `a pipe to ${direction === 'read' ? 'read from' : 'write to'}${pipe}`;
  }
  // The client of a unix socket has no name; the path is then our own.
  if (peername === '' && sockname) return `a connection over ${formatAddress(sockname)}`;
  return peername === null || peername === ''
    ? 'a connection'
    : `a connection with ${formatAddress(peername)}`;
}
