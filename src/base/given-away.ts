/** The number is the same on Linux and macOS. */
const EFAULT = 14;

/**
 * Returns the error for data whose memory was transferred or resized before it was sent. It has the format of
 * the system's own error.
 */
export function givenAway(): Error {
  return fault('write', 'the memory of the written data was transferred or resized before it was sent');
}

/** The memory of data that waits to be read was transferred, with a part of it that was read before. */
export function givenAwayUnread(): Error {
  return fault(
    'read',
    'the memory of data that was read was transferred, together with unread data: copy data before you transfer it',
  );
}

function fault(syscall: string, text: string): Error {
  return Object.assign(new Error(`${syscall} EFAULT: ${text}`), { code: 'EFAULT', errno: -EFAULT, syscall });
}
