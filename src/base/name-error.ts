/** Errors of name resolution, in the format of Node's own errors, with the codes of `getaddrinfo`. */

/**
 * libuv's numbers, which are the same on every platform. Node uses `ENOTFOUND` for `EAI_NONAME` and
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
 * Makes an error of name resolution.
 *
 * @param hostname the host that was looked up
 * @param why an explanation, if the code alone is not clear
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
