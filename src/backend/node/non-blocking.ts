/**
 * Keeps sockets of Node's from blocking the process.
 *
 * Facts. O_NONBLOCK belongs to the open file description. libuv clears the flag for the standard streams of
 * each child that it starts, and whoever shares a standard stream with the child then blocks, too: the next
 * `read()` or `write()` of libuv's stops the whole process until the other side acts. A handle of Node's can
 * set the flag again.
 *
 * What this means. Sockets and servers that somebody else knows, and may hand to a child, are registered
 * here. They are made non-blocking again behind each spawn, and before each call of libuv's that would trust
 * the flag. A child that shares a socket with a transport in use finds it non-blocking, as in asyncio.
 */
import { WriteStream } from 'node:tty';

/** The handle below a stream of Node's, as far as we need it. */
interface Handle {
  readonly reading?: boolean;
  setBlocking?(on: boolean): number;
}

const shared: Set<object> = new Set();

/** Registers a stream or server that others may share. */
export function share(stream: object): void {
  // A terminal that is written to blocks because Node wants it to.
  if (process.platform !== 'win32' && !(stream instanceof WriteStream)) shared.add(stream);
}

export function unshare(stream: object): void {
  shared.delete(stream);
}

/** To be called before libuv reads or writes something that may be shared. */
export function keepNonBlocking(stream: object): void {
  if (shared.has(stream)) handleOf(stream)?.setBlocking?.(false);
}

/** To be called behind each spawn, for those that are in use just now. */
export function keepAllNonBlocking(): void {
  for (const stream of shared) if (isInUse(stream)) handleOf(stream)?.setBlocking?.(false);
}

function isInUse(stream: object): boolean {
  const { writableLength, listening } = stream as { writableLength?: number; listening?: boolean };
  return listening === true || (writableLength ?? 0) > 0 || handleOf(stream)?.reading === true;
}

function handleOf(stream: object): Handle | null | undefined {
  return (stream as { _handle?: Handle | null })._handle;
}
