/** Linux and macOS number it alike. */
const EFAULT = 14;

/**
 * The memory of data that waits to be sent was transferred or resized: in the shape of the system's own error
 * for that.
 */
export function givenAway(): Error {
  return fault('write', 'the memory of what was written was transferred or resized before it was sent');
}

/** The memory of data that waits to be read was transferred, with a part of it that was read before. */
export function givenAwayUnread(): Error {
  return fault(
    'read',
    'the memory of what was read before was transferred, and unread data with it: copy it first',
  );
}

function fault(syscall: string, text: string): Error {
  return Object.assign(new Error(`${syscall} EFAULT: ${text}`), { code: 'EFAULT', errno: -EFAULT, syscall });
}
