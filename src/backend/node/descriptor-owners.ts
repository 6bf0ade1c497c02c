/**
 * The descriptors that a socket or a server of ours was made of. libuv refuses a descriptor that it polls,
 * and none that it has and does not poll just now: with two owners the one that is closed last closes the
 * number under whoever has it by then.
 */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Server } from 'node:net';
import { LAST_STDIO } from './stdio.ts';

const owners: Map<number, Socket | Server> = new Map();

export function takeDescriptor(fd: number, owner: Socket | Server): void {
  owners.set(fd, owner);
  owner.once('close', () => {
    // By then the number may be another's.
    if (owners.get(fd) === owner) owners.delete(fd);
  });
}

/**
 * As `takeDescriptor`, for a socket that is closed with its owner whatever number it has: libuv never closes
 * descriptors 0, 1 and 2, and inetd gives a server its socket by these.
 */
export function takeSocket(fd: number, owner: Socket | Server): void {
  takeDescriptor(fd, owner);
  if (fd <= LAST_STDIO) owner.once('close', () => closeSync(fd));
}

export function isDescriptorTaken(fd: number): boolean {
  const owner = owners.get(fd);
  if (owner === undefined) return false;
  // `close` comes later than the end of the descriptor.
  return owner instanceof Server ? owner.listening : !owner.destroyed;
}
