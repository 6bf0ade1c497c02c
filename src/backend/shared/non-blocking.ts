/**
 * Keeps sockets of Node from blocking the process.
 *
 * O_NONBLOCK belongs to the open file description. libuv clears the flag for the standard streams of each
 * child that it starts. Every process that shares such a stream then blocks, too: the next `read()` or
 * `write()` of libuv stops the whole process until the other side acts. A handle of Node can set the flag
 * again.
 *
 * So sockets and servers that other code knows, and may pass to a child, are registered here. They are made
 * non-blocking again after each spawn, and before each call of libuv that relies on the flag. A child that
 * shares a socket with an active transport finds it non-blocking, as in asyncio.
 */
import { node } from '../../platform/node-modules.ts';

/** The members that this file uses of the handle below a stream of Node. */
interface Handle {
  readonly reading?: boolean;
  setBlocking?(on: boolean): number;
}

const shared: Set<object> = new Set();

/** Registers a stream or server that other code may share. */
export function share(stream: object): void {
  // Exclude terminals that are written to: Node itself wants them to block.
  if (process.platform !== 'win32' && !(stream instanceof node.tty.WriteStream)) shared.add(stream);
}

export function unshare(stream: object): void {
  shared.delete(stream);
}

/** Call this before libuv reads or writes a descriptor that may be shared. */
export function keepNonBlocking(stream: object): void {
  if (shared.has(stream)) handleOf(stream)?.setBlocking?.(false);
}

/** Call this after each spawn. It concerns the streams that are in use at the moment. */
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
