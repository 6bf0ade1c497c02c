/**
 * The file descriptors that sockets and servers of gyre own. libuv rejects a descriptor that it polls, but
 * not one that it owns and does not poll at the moment. With two owners, the owner that closes last closes a
 * number that may belong to another file by then.
 */

import type { Server, Socket } from 'node:net';
import { node } from '../../platform/node-modules.ts';
import { LAST_STDIO } from '../shared/stdio.ts';

const owners: Map<number, Socket | Server> = new Map();

export function takeDescriptor(fd: number, owner: Socket | Server): void {
  owners.set(fd, owner);
  owner.once('close', () => {
    // By then, the number may have another owner.
    if (owners.get(fd) === owner) owners.delete(fd);
  });
}

/**
 * As `takeDescriptor`, for a socket that must be closed with its owner whatever its number is. libuv never
 * closes descriptors 0, 1 and 2, which inetd uses to pass a socket to a server.
 */
export function takeSocket(fd: number, owner: Socket | Server): void {
  takeDescriptor(fd, owner);
  if (fd <= LAST_STDIO) owner.once('close', () => node.fs.closeSync(fd));
}

export function isDescriptorTaken(fd: number): boolean {
  const owner = owners.get(fd);
  if (owner === undefined) return false;
  // `close` is emitted some time after the descriptor was closed.
  return owner instanceof node.net.Server ? owner.listening : !owner.destroyed;
}
