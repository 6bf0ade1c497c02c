/**
 * The descriptors that a socket or a server of ours was made of. libuv refuses a descriptor that it polls, and none that it has and does
 * not poll just now: with two owners the one that is closed last closes the number under whoever has it by then.
 */
import type { Socket } from 'node:net';
import { Server } from 'node:net';

const owners: Map<number, Socket | Server> = new Map();

export function takeDescriptor(fd: number, owner: Socket | Server): void {
  owners.set(fd, owner);
  owner.once('close', () => {
    // By then the number may be another's.
    if (owners.get(fd) === owner) owners.delete(fd);
  });
}

export function isDescriptorTaken(fd: number): boolean {
  const owner = owners.get(fd);
  if (owner === undefined) return false;
  // `close` comes later than the end of the descriptor.
  return owner instanceof Server ? owner.listening : !owner.destroyed;
}
