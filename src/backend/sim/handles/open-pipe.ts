/** The ends of pipes: the objects behind their descriptors. */

import type { SimHost } from '../host.ts';
import type { LocalChannel } from '../local/local-channel.ts';
import { localConnection, localPipe } from '../local/local-channel.ts';
import type { Descriptors, OpenObject, Readiness } from '../machine/descriptors.ts';
import { OpenSocket } from './open-socket.ts';

export class OpenPipe implements OpenObject {
  readonly channel: LocalChannel;
  /** The same as that of a connection. */
  readonly readiness: Readiness;

  constructor(channel: LocalChannel) {
    this.channel = channel;
    this.readiness = OpenSocket.ofChannel(channel);
  }

  get direction(): 'both' | 'read' | 'write' {
    return this.channel.direction;
  }

  release(): void {
    this.channel.close();
  }
}

/** Opens a pipe for a program. Returns the descriptors of the reading end and the writing end. */
export function openPipePair(host: SimHost, descriptors: Descriptors): { read: number; write: number } {
  const [from, to] = localPipe(host);
  const read = descriptors.open(new OpenPipe(from), 'pipe');
  return { read, write: openOrClose(descriptors, new OpenPipe(to), read, 'pipe') };
}

/** Opens a pair of connected unix sockets for a program. Returns both descriptors. */
export function openSocketPair(host: SimHost, descriptors: Descriptors): [number, number] {
  const [near, far] = localConnection(host, { sockname: '', peername: '' });
  const first = descriptors.open(OpenSocket.ofChannel(near), 'socketpair');
  return [first, openOrClose(descriptors, OpenSocket.ofChannel(far), first, 'socketpair')];
}

/** Opens the second end. If that fails, it closes the first. */
function openOrClose(descriptors: Descriptors, object: OpenObject, first: number, syscall: string): number {
  try {
    return descriptors.open(object, syscall);
  } catch (error) {
    descriptors.close(first);
    throw error;
  }
}
