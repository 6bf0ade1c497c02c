/** libuv's error numbers on Linux, which Node's native handles return. */
export const UV_EBADF = -9;
export const UV_EINVAL = -22;
export const UV_ENOTCONN = -107;
export const UV_ECANCELED = -125;

/** Returns the number of a system's error. */
export function errnoOf(error: unknown): number {
  const { errno } = error as { errno?: unknown };
  if (typeof errno !== 'number') throw error;
  return errno;
}
