/** A listening socket of `node:net`: TCP, or a unix socket. */

import type { ListenOptions, AddressInfo as NodeAddress, Server, Socket } from 'node:net';
import type { SocketAddress } from '../../base/address.ts';
import { hostNextTick } from '../../base/host.ts';
import { UnusableError } from '../../base/unusable.ts';
import { node } from '../../platform/node-modules.ts';
import type { ListenEvents, ListenTarget, RawListener } from '../backend.ts';
import { share, unshare } from '../shared/non-blocking.ts';
import { explainBind, isAbstract, SocketFile } from '../shared/unix-path.ts';
import type { WatchedListener } from './accept-watch.ts';
import { unwatchAccepts, watchAccepts } from './accept-watch.ts';
import { takeSocket } from './descriptor-owners.ts';
import { deniedNetwork } from './permission.ts';
import { inodeOf, isSocket, NodeStream, toAddress } from './stream.ts';

/** Servers that a listener owns. With two listeners, each connection would get two protocols. */
const owned: WeakSet<Server> = new WeakSet();

export class NodeListener implements RawListener, WatchedListener {
  readonly inode: number | null;
  readonly #server: Server;
  readonly #events: ListenEvents;
  #sockname: SocketAddress | null = null;
  /** The file of a unix socket that this listener has created. */
  #file: SocketFile | null = null;
  #closed: boolean = false;
  #turnsAway: boolean = false;
  /** The value of `maxConnections` that the server's owner has set. */
  readonly #most: number;

  constructor(target: ListenTarget, events: ListenEvents) {
    const adopted = target.socket instanceof node.net.Server ? target.socket : null;
    if (adopted !== null && !adopted.listening)
      throw new UnusableError(adopted, 'a server that is listening');
    if (adopted !== null) {
      if (owned.has(adopted)) throw new UnusableError(adopted, 'a server that no other loop server uses');
      owned.add(adopted);
    }
    const server =
      adopted ?? node.net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    this.#server = server;
    this.#events = events;
    this.#most = server.maxConnections;
    // Node cannot bind without listening. So as many connections wait as would wait in the kernel.
    if (!target.serves) server.maxConnections = target.backlog;
    this.inode = typeof target.socket === 'number' ? inodeOf(target.socket) : null;
    server.on('connection', (socket: Socket) => this.#accept(socket, adopted !== null));
    if (adopted !== null || target.address === null) share(server);
    if (adopted !== null) {
      server.on('error', (error) => events.onError(error));
      this.#bound();
      hostNextTick(this.#listening);
    } else {
      this.#listen(target);
    }
  }

  sockname(): SocketAddress | null {
    return this.#sockname;
  }

  fileno(): number {
    return -1;
  }

  serve(): void {
    this.#server.maxConnections = this.#most;
  }

  acceptStart(): void {
    this.#turnsAway = false;
  }

  /** Node cannot stop libuv from accepting. */
  acceptStop(): void {
    this.#turnsAway = true;
  }

  cannotAccept(error: Error): void {
    this.#events.onError(error);
  }

  wasShutDown(error: Error): void {
    this.#server.close();
    unwatchAccepts(this);
    this.#events.onError(error);
  }

  close(): void {
    this.#closed = true;
    unwatchAccepts(this);
    // The server may listen again later.
    owned.delete(this.#server);
    unshare(this.#server);
    if (this.#file === null) this.#server.close();
    else this.#file.closeServer(this.#server);
  }

  #listen(target: ListenTarget): void {
    const server = this.#server;
    const options = listenOptions(target);
    const path = options.path ?? null;
    const failed = (error: NodeJS.ErrnoException): void => {
      // Node reports the error later, and the listener may have been closed meanwhile.
      if (this.#closed) return;
      this.#events.onError(path === null || isAbstract(path) ? error : explainBind(error, path));
    };
    server.on('error', failed);
    server.once('listening', this.#listening);
    const denied = deniedNetwork();
    if (denied === null) this.#tryToListen(options);
    else hostNextTick(failed, denied);
  }

  #tryToListen(options: ListenOptions & { fd?: number }): void {
    this.#server.listen(options);
    if (!this.#server.listening) return;
    if (options.fd !== undefined) takeSocket(options.fd, this.#server);
    if (options.path !== undefined) this.#file = new SocketFile(options.path);
    this.#bound();
  }

  #bound(): void {
    this.#server.unref();
    if (!this.#closed) watchAccepts(this);
    const address = this.#server.address() as NodeAddress | string | null;
    // Node does not know the name of a unix socket that was passed as a descriptor.
    if (address === null || typeof address === 'string') this.#sockname = address ?? '';
    else this.#sockname = toAddress(address.address, address.port);
  }

  #listening = (): void => {
    // Node looks up even a literal host, and binds later.
    if (this.#sockname === null) this.#bound();
    this.#events.onListening();
  };

  #accept(socket: Socket, wasAdopted: boolean): void {
    const path = typeof this.#sockname === 'string' ? this.#sockname : null;
    if (this.#turnsAway) {
      if (path === null) socket.resetAndDestroy();
      else socket.destroy();
      return;
    }
    // Node reports a peer that closed before the accept as a socket without an address.
    if (path === null && socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    if (wasAdopted) {
      socket.allowHalfOpen = true;
      socket.setNoDelay(true);
    }
    // A peer that has bound its side to a path is rare, and Node cannot ask for that path.
    this.#events.onConnection(
      new NodeStream(socket, path === null ? null : { sockname: path, peername: '' }),
    );
  }
}

function listenOptions(target: ListenTarget): ListenOptions & { fd?: number; reusePort?: boolean } {
  const { address, backlog } = target;
  if (address === null) {
    if (typeof target.socket !== 'number' || !Number.isInteger(target.socket) || target.socket < 0) {
      throw new UnusableError(target.socket, 'a descriptor or a net.Server that is listening');
    }
    if (!isSocket(target.socket)) throw new UnusableError(target.socket, 'the descriptor of a socket');
    return { fd: target.socket, backlog };
  }
  if (typeof address === 'string') return { path: address, backlog, exclusive: true };
  return {
    host: address[0] as string,
    port: address[1] as number,
    backlog,
    ipv6Only: target.ipv6Only,
    exclusive: true,
    ...(target.reusePort ? { reusePort: true } : {}),
  };
}
