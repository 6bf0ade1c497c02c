/** A listening socket of `node:net`. */

import type { ListenOptions, AddressInfo as NodeAddress, Socket } from 'node:net';
import { createServer, Server } from 'node:net';
import type { SocketAddress } from '../../base/address.ts';
import { invalidArgType } from '../../base/validate.ts';
import type { ListenEvents, ListenTarget, RawListener } from '../backend.ts';
import { NodeStream, toAddress } from './stream.ts';

export class NodeListener implements RawListener {
  readonly #server: Server;
  #sockname: SocketAddress | null = null;

  constructor(target: ListenTarget, events: ListenEvents) {
    const adopted = target.socket instanceof Server ? target.socket : null;
    if (adopted !== null && !adopted.listening)
      throw invalidArgType('sock', adopted, 'a server that is listening');
    const options = adopted === null ? listenOptions(target) : null;
    const server = adopted ?? createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      // A peer that was gone before it was accepted: Node tells by a socket without an address.
      if (socket.remoteAddress === undefined) {
        socket.destroy();
        return;
      }
      if (adopted !== null) {
        socket.allowHalfOpen = true;
        socket.setNoDelay(true);
      }
      events.onConnection(new NodeStream(socket));
    });
    server.on('error', (error) => events.onError(error));
    const listening = (): void => {
      server.unref();
      const address = server.address() as NodeAddress | null;
      if (address !== null) this.#sockname = toAddress(address.address, address.port);
      events.onListening();
    };
    if (options === null) {
      process.nextTick(listening);
    } else {
      server.once('listening', listening);
      server.listen(options);
    }
  }

  sockname(): SocketAddress | null {
    return this.#sockname;
  }

  fileno(): number {
    return -1;
  }

  close(): void {
    this.#server.close();
  }
}

function listenOptions(target: ListenTarget): ListenOptions & { fd?: number; reusePort?: boolean } {
  if (target.address === null) {
    if (typeof target.socket !== 'number' || !Number.isInteger(target.socket) || target.socket < 0) {
      throw invalidArgType('sock', target.socket, 'a descriptor or a net.Server that is listening');
    }
    return { fd: target.socket, backlog: target.backlog };
  }
  return {
    host: target.address[0] as string,
    port: target.address[1] as number,
    backlog: target.backlog,
    ipv6Only: target.ipv6Only,
    exclusive: true,
    ...(target.reusePort ? { reusePort: true } : {}),
  };
}
