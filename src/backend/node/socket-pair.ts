/** Two connected sockets: a pipe of which a child can get one end under two numbers. */

import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostNextTick } from '../../base/host.ts';
import { node } from '../../platform/node-modules.ts';
import type { RawRequest } from '../backend.ts';

/** Bytes of a random secret, which authenticates the connection. */
const SECRET_BYTES = 16;

export interface SocketPairEvents {
  /** `near` is paused, so no data is lost. */
  onPair(near: Socket, far: Socket): void;
  onError(error: Error): void;
}

/**
 * Node has no `socketpair()`. It can listen on a unix socket and connect to it, but another process may
 * connect, too.
 *
 * So the far end sends a secret before it is accepted. On Linux the name is abstract and needs no file, so
 * it also works where no file can be created. On Windows it is that of a named pipe. On other systems it is
 * a file in a new directory.
 */
export class SocketPair implements RawRequest {
  readonly #events: SocketPairEvents;
  readonly #server: Server;
  readonly #secret: Buffer = node.crypto.randomBytes(SECRET_BYTES);
  /** Connections that have not sent the secret. */
  readonly #strangers: Set<Socket> = new Set();
  #path: string = '';
  #directory: string | null = null;
  #far: Socket | null = null;
  #done: boolean = false;

  /** @param abstract true for a name without a file */
  constructor(events: SocketPairEvents, abstract: boolean = process.platform === 'linux') {
    this.#events = events;
    this.#server = node.net.createServer((socket) => this.#accepted(socket));
    this.#server.on('error', (error) => this.#fail(error));
    // Exclusive, because a worker of Node's cluster would otherwise ask the primary process to listen.
    try {
      this.#path = this.#makePath(abstract);
      this.#server.listen({ path: this.#path, exclusive: true }, () => this.#connect());
    } catch (error) {
      hostNextTick(() => this.#fail(error as Error));
      return;
    }
    this.#server.unref();
  }

  cancel(): void {
    if (this.#done) return;
    this.#end();
    this.#far?.destroy();
  }

  #makePath(abstract: boolean): string {
    const name = `gyre-${node.crypto.randomBytes(SECRET_BYTES).toString('hex')}`;
    if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
    if (abstract) return `\0${name}`;
    this.#directory = node.fs.mkdtempSync(join(tmpdir(), 'gyre-'));
    return join(this.#directory, 's');
  }

  #connect(): void {
    if (this.#done) return;
    const far = node.net.connect(this.#path);
    far.unref();
    far.on('error', (error) => this.#fail(error));
    far.on('close', () => this.#fail(closedEarly()));
    far.write(this.#secret);
    this.#far = far;
  }

  #accepted(socket: Socket): void {
    if (this.#done) {
      socket.destroy();
      return;
    }
    socket.unref();
    socket.on('error', ignore);
    this.#strangers.add(socket);
    let shown = Buffer.alloc(0);
    const check = (data: Buffer): void => {
      shown = Buffer.concat([shown, data]);
      if (!this.#secret.subarray(0, shown.length).equals(shown)) socket.destroy();
      else if (shown.length === SECRET_BYTES) {
        socket.off('data', check);
        socket.pause();
        this.#found(socket);
      }
    };
    socket.on('data', check);
  }

  #found(near: Socket): void {
    const far = this.#far as Socket;
    this.#strangers.delete(near);
    this.#end();
    this.#events.onPair(near, far);
  }

  #fail(error: Error): void {
    if (this.#done) return;
    this.#end();
    this.#far?.destroy();
    this.#events.onError(error);
  }

  #end(): void {
    this.#done = true;
    this.#server.close();
    for (const socket of this.#strangers) socket.destroy();
    if (this.#directory !== null) node.fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

function ignore(): void {}

/** If no descriptor is left, the system accepts the connection and closes it. */
function closedEarly(): Error {
  return Object.assign(new Error('accept EMFILE: no descriptor is left for the pipe of a child'), {
    code: 'EMFILE',
    syscall: 'accept',
  });
}
