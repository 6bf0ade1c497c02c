/** Why a name was not found: in the shape of Node's own errors, with the codes of `getaddrinfo`. */

/**
 * libuv's numbers: they are the same on every platform. `ENOTFOUND` is Node's word for `EAI_NONAME` and
 * `EAI_NODATA`.
 */
const ERRNO = {
  EAI_ADDRFAMILY: -3000,
  EAI_AGAIN: -3001,
  EAI_BADFLAGS: -3002,
  EAI_FAIL: -3004,
  ENOTFOUND: -3008,
  EAI_SERVICE: -3010,
  EAI_SOCKTYPE: -3011,
} as const;

export type NameErrorCode = keyof typeof ERRNO;

/**
 * @param hostname who was asked for
 * @param why in words, where the code alone does not say it
 */
export function nameError(
  syscall: 'getaddrinfo' | 'getnameinfo',
  code: NameErrorCode,
  hostname: string,
  why: string = '',
  cause?: unknown,
): Error {
  const words = [syscall, code, hostname].filter((word) => word !== '').join(' ');
  const error = new Error(why === '' ? words : `${words}: ${why}`, cause === undefined ? {} : { cause });
  return Object.assign(error, { code, errno: ERRNO[code], syscall, hostname });
}
