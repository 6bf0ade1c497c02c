/** System errors in the form of Node's own. */
import type { SocketAddress } from '../../base/address.ts';
import { formatAddress } from '../../base/address.ts';

/** libuv's numbers on Linux, which a program sees as `error.errno`. */
export const ERRNO = {
  EACCES: -13,
  EADDRINUSE: -98,
  EADDRNOTAVAIL: -99,
  EAFNOSUPPORT: -97,
  EAGAIN: -11,
  EALREADY: -114,
  EBADF: -9,
  ECHILD: -10,
  ECONNABORTED: -103,
  ECONNREFUSED: -111,
  ECONNRESET: -104,
  EDESTADDRREQ: -89,
  EEXIST: -17,
  EHOSTUNREACH: -113,
  EINPROGRESS: -115,
  EINVAL: -22,
  EISCONN: -106,
  EISDIR: -21,
  EMFILE: -24,
  EMSGSIZE: -90,
  ENETUNREACH: -101,
  ENOENT: -2,
  ENOPROTOOPT: -92,
  ENOTCONN: -107,
  ENOTDIR: -20,
  ENOTSOCK: -88,
  ENXIO: -6,
  EOPNOTSUPP: -95,
  EPERM: -1,
  EPIPE: -32,
  EPROTONOSUPPORT: -93,
  ESRCH: -3,
  ETIMEDOUT: -110,
} as const;

export type ErrorCode = keyof typeof ERRNO;

/** Makes an error as Node makes it: `connect ECONNREFUSED 10.0.0.2:80`. */
export function systemError(code: ErrorCode, syscall: string, address: SocketAddress | null = null): Error {
  const where = address === null ? '' : ` ${formatAddress(address)}`;
  const error = Object.assign(new Error(`${syscall} ${code}${where}`), {
    errno: ERRNO[code],
    code,
    syscall,
  });
  if (address === null) return error;
  if (typeof address === 'string') return Object.assign(error, { address });
  return Object.assign(error, { address: address[0], port: address[1] });
}
