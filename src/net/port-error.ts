/** Tells in the error of a refused port how to choose another. */
import type { SocketAddress } from '../base/address.ts';

/** Ports below this one need a privilege on most systems. */
const FIRST_FREE_PORT = 1024;

/**
 * Adds advice to the message of an error of the system that refuses a local port. The code and the other
 * fields stay as they are.
 *
 * @param local the address to bind; null: that of a socket that was passed in
 */
export function explainPort(error: Error, local: SocketAddress | null): Error {
  const advice = adviceFor((error as { code?: string }).code, local);
  if (advice === null) return error;
  const { message, stack } = error;
  const explained = `${message} (${advice})`;
  error.message = explained;
  // The engine has put the message into the stack already, and consoles print the stack.
  if (typeof stack === 'string') error.stack = stack.replace(message, () => explained);
  return error;
}

function adviceFor(code: string | undefined, local: SocketAddress | null): string | null {
  if (local === null || typeof local === 'string') return null;
  const port = local[1];
  if (code === 'EADDRINUSE')
    return `another socket has port ${port}: stop its program, or pass port 0 for a free one`;
  if (code === 'EACCES' && port > 0 && port < FIRST_FREE_PORT) {
    return `ports below ${FIRST_FREE_PORT} need a privilege: choose a higher one, or pass port 0 for a free one`;
  }
  return null;
}
