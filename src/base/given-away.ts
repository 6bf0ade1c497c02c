/** Linux and macOS number it alike. */
const EFAULT = 14;

/**
 * The memory of data that waits to be sent was transferred or resized: in the shape of the system's own error
 * for that.
 */
export function givenAway(): Error {
  const error = new Error(
    'write EFAULT: the memory of what was written was transferred or resized before it was sent',
  );
  return Object.assign(error, { code: 'EFAULT', errno: -EFAULT, syscall: 'write' });
}
