/** What Node does not tell of a descriptor, and a way to see that the last reader of a pipe has gone. */
import { fstatSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';

export type Access = 'read' | 'write' | 'both';

const ACCESS: readonly (Access | undefined)[] = ['read', 'write', 'both'];
/** `O_ACCMODE`. */
const ACCESS_MASK = 3;

/** How a descriptor is open; null where the system does not say. */
export function accessOf(fd: number): Access | null {
  const flags = flagsOf(fd);
  return flags === null ? null : (ACCESS[flags & ACCESS_MASK] ?? null);
}

/** The flags with which a descriptor is open, as of `fcntl(F_GETFL)`; null where the system does not say. */
export function flagsOf(fd: number): number | null {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags === undefined ? null : Number.parseInt(flags, 8);
  } catch {
    return null;
  }
}

/** The handle below a socket of Node's, as far as we need it. */
export interface DescriptorHandle {
  open(fd: number): number;
  close(): void;
}

/**
 * A socket that writes to `fd`, and ends or fails by `read` as soon as nobody reads what is written, where
 * the host can see that.
 *
 * Facts. A socket ends. A pipe that is open for writing only cannot be read, and libuv does not poll what it
 * cannot read: it notices at the next write. Opened as if it were TCP it is polled all the same; the one
 * event that can come is that its last reader has gone, and the read that follows fails with EBADF. A
 * descriptor that can be read must not be opened so: its data would be lost.
 */
export function openWatched(fd: number, access: Access | null): Socket {
  if (fstatSync(fd).isSocket())
    return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  const handle = access === 'write' ? openAsTcp(fd) : null;
  if (handle === null) return new Socket({ fd, readable: false, writable: true });
  const options = { handle, readable: true, writable: true, allowHalfOpen: true };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}

/**
 * A handle that has `fd`, which does not block from now on, and is closed with it. Null where the host has no
 * such handles, or refuses.
 */
export function openAsTcp(fd: number): DescriptorHandle | null {
  const Tcp = tcpHandleClass();
  if (Tcp === null) return null;
  const handle = new Tcp(0);
  if (handle.open(fd) === 0) return handle;
  handle.close();
  return null;
}

/** The class is not exported. A socket that is about to connect has one of it. */
function tcpHandleClass(): (new (type: number) => DescriptorHandle) | null {
  if (process.platform !== 'linux') return null;
  const socket = new Socket();
  // A name, and nobody who looks it up: nothing leaves this process.
  socket.connect({ host: 'localhost', port: 1, autoSelectFamily: false, lookup: () => {} });
  const { _handle: handle } = socket as unknown as { _handle?: DescriptorHandle | null };
  const Tcp = typeof handle?.open === 'function' ? handle.constructor : null;
  socket.destroy();
  return Tcp as (new (type: number) => DescriptorHandle) | null;
}
