/** System errors in the form of Node's own, from libuv's error numbers. */

import type { SocketAddress } from '../../base/address.ts';
import { formatAddress } from '../../base/address.ts';
import { node } from '../../platform/node-modules.ts';

export function systemError(
  errno: number,
  syscall: string,
  address: SocketAddress | null = null,
  local: SocketAddress | null = null,
): Error {
  const code = node.util.getSystemErrorName(errno);
  const where = address === null ? '' : ` ${formatAddress(address)}`;
  const from = local === null ? '' : ` - Local (${formatAddress(local)})`;
  const error = Object.assign(new Error(`${syscall} ${code}${where}${from}`), { errno, code, syscall });
  if (address === null) return error;
  if (typeof address === 'string') return Object.assign(error, { address });
  return Object.assign(error, { address: address[0], port: address[1] });
}
