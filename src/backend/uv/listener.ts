/** Listening sockets: TCP and unix. */

import type { SocketAddress } from '../../base/address.ts';
import { hostNextTick } from '../../base/host.ts';
import type { ListenEvents, ListenTarget, RawListener, SystemSocket } from '../backend.ts';
import { isAbstract, SocketFile } from '../shared/unix-path.ts';
import type { Id } from './addon.ts';
import type { Target } from './dispatch.ts';
import { ACCEPTED, addon, register, unregister } from './dispatch.ts';
import { systemError } from './errors.ts';
import { scopeOf } from './scope.ts';
import { UvSystemSocket } from './sockets.ts';
import { UvStream } from './stream.ts';

export class UvListener implements RawListener, Target {
  readonly #target: ListenTarget;
  readonly #events: ListenEvents;
  #id: Id = -1;
  #sockname: SocketAddress | null = null;
  /**
   * The local address of every connection. Null: the listener has several addresses, or they are not IPv4.
   */
  #reachedAt: SocketAddress | null = null;
  /** The socket file that this listener made. */
  #file: SocketFile | null = null;
  #closed: boolean = false;

  constructor(target: ListenTarget, events: ListenEvents) {
    this.#target = target;
    this.#events = events;
    this.#listen();
  }

  get id(): Id {
    return this.#id;
  }

  sockname(): SocketAddress | null {
    return this.#sockname;
  }

  fileno(): number {
    return this.#id < 0 || this.#closed ? -1 : addon().fileno(this.#id);
  }

  get system(): SystemSocket {
    return new UvSystemSocket(this);
  }

  serve(): void {
    const { address, backlog } = this.#target;
    const errno = addon().listenerStart(this.#id, backlog);
    if (errno < 0) throw systemError(errno, 'listen', address);
  }

  acceptStart(): void {
    if (this.#closed) return;
    const errno = addon().acceptStart(this.#id);
    if (errno < 0) hostNextTick(() => this.#cannotAccept(errno));
  }

  acceptStop(): void {
    if (!this.#closed) addon().acceptStop(this.#id);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#id < 0) return;
    unregister(this);
    // Remove the file while the socket is open: until the close, no other file can get its inode number.
    this.#file?.remove();
    addon().close(this.#id);
  }

  onEvent(kind: number, result: number, word: number, port: number): void {
    if (kind !== ACCEPTED) return;
    if (result < 0) {
      this.#cannotAccept(result);
      return;
    }
    const sockname = this.#reachedAt;
    const accepted = sockname === null ? null : { sockname, word, port };
    this.#events.onConnection(new UvStream(result, 'both', accepted));
  }

  #cannotAccept(errno: number): void {
    if (!this.#closed) this.#events.onError(systemError(errno, 'accept'));
  }

  #listen(): void {
    const { address } = this.#target;
    const path = typeof address === 'string' && !isAbstract(address) ? address : null;
    const id = listen(this.#target);
    if (id >= 0) {
      this.#id = id;
      this.#sockname = addon().sockname(id) as SocketAddress | null;
      // Don't assume this for a socket that the program passed in: a transparent proxy's socket accepts
      // connections to any address.
      if (address !== null && isOneInet4(this.#sockname)) this.#reachedAt = this.#sockname;
      if (path !== null) this.#file = new SocketFile(path);
      register(this);
      hostNextTick(() => {
        if (!this.#closed) this.#events.onListening();
      });
      return;
    }
    const error = systemError(id, 'listen', address);
    hostNextTick(() => {
      if (!this.#closed) this.#events.onError(error);
    });
  }
}

function isOneInet4(address: SocketAddress | null): boolean {
  return address !== null && typeof address !== 'string' && address.length === 2 && address[0] !== '0.0.0.0';
}

/** Returns an id or an error. */
function listen({ address, socket, serves, reusePort, ipv6Only, ...target }: ListenTarget): Id {
  const backlog = serves ? target.backlog : 0;
  if (address === null) return addon().listenOn(socket as number, backlog);
  if (typeof address === 'string') return addon().unixListen(address, backlog);
  const [host, scope] = scopeOf(address);
  return addon().tcpListen(host, address[1], scope, backlog, ipv6Only, reusePort);
}
