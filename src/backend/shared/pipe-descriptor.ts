/**
 * Facts about a descriptor that Node does not provide, and a way to see that the last reader of a pipe has
 * gone.
 */

import type { Socket } from 'node:net';
import { node } from '../../platform/node-modules.ts';

export type Access = 'read' | 'write' | 'both';

const ACCESS: readonly (Access | undefined)[] = ['read', 'write', 'both'];
/** `O_ACCMODE`. */
const ACCESS_MASK = 3;

/** Returns the access mode of a descriptor, or null if the system does not tell it. */
export function accessOf(fd: number): Access | null {
  const flags = flagsOf(fd);
  return flags === null ? null : (ACCESS[flags & ACCESS_MASK] ?? null);
}

/** Returns the flags of a descriptor, as `fcntl(F_GETFL)` does, or null if the system does not tell them. */
export function flagsOf(fd: number): number | null {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(node.fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags === undefined ? null : Number.parseInt(flags, 8);
  } catch {
    return null;
  }
}

/** The members that gyre uses of the handle below a socket of Node. */
export interface DescriptorHandle {
  open(fd: number): number;
  close(): void;
}

/**
 * Returns a socket that writes to `fd`. If the host can see that the last reader has gone, the socket ends,
 * or fails with an error of `read`.
 *
 * A socket ends by itself. A pipe that is open only for writing cannot be read, and libuv does not poll such
 * a pipe: it notices the loss at the next write. If the pipe is opened as if it were TCP, libuv polls it. The
 * only possible event is then that the last reader has gone, and the following read fails with EBADF. Don't
 * open a readable descriptor in this way, because its data would be lost.
 */
export function openWatched(fd: number, access: Access | null): Socket {
  if (node.fs.fstatSync(fd).isSocket())
    return new node.net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  const handle = access === 'write' ? openAsTcp(fd) : null;
  if (handle === null) return new node.net.Socket({ fd, readable: false, writable: true });
  const options = { handle, readable: true, writable: true, allowHalfOpen: true };
  return new node.net.Socket(options as ConstructorParameters<typeof Socket>[0]);
}

/**
 * Returns a handle that owns `fd` and makes it non-blocking. Returns null if the host has no such handles, or
 * rejects the descriptor.
 */
export function openAsTcp(fd: number): DescriptorHandle | null {
  const Tcp = tcpHandleClass();
  if (Tcp === null) return null;
  const handle = new Tcp(0);
  if (handle.open(fd) === 0) return handle;
  handle.close();
  return null;
}

/** Returns the class, which is not exported, from a socket that is about to connect. */
function tcpHandleClass(): (new (type: number) => DescriptorHandle) | null {
  if (process.platform !== 'linux') return null;
  const socket = new node.net.Socket();
  // The look-up never completes, so no data leaves the process.
  socket.connect({ host: 'localhost', port: 1, autoSelectFamily: false, lookup: () => {} });
  const { _handle: handle } = socket as unknown as { _handle?: DescriptorHandle | null };
  const Tcp = typeof handle?.open === 'function' ? handle.constructor : null;
  socket.destroy();
  return Tcp as (new (type: number) => DescriptorHandle) | null;
}
