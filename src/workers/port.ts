/** The common port of the workers. */
import { AF_INET, AF_INET6, SO_REUSEADDR, SO_REUSEPORT, SOCK_STREAM, SOL_SOCKET } from '../base/constants.ts';
import { LoopError } from '../base/errors.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import { Protocol } from '../net/protocol.ts';
import { Socket } from '../net/socket/socket.ts';
import type { ListenOn } from './messages.ts';
import type { Settings } from './options.ts';

/** The port, and the way in which the worker of each slot gets its connections. */
export interface WorkerPort {
  readonly port: number;
  listenOn(slot: number): ListenOn;
  close(): void;
}

type Address = readonly [host: string, port: number];

/**
 * Opens the port.
 *
 * On the native backend, each slot has a listening socket here, and its workers use it one after the other. A
 * connection that waits in the queue of the socket therefore survives the end of a worker. The portable
 * backend cannot hold a socket without accepting from it, so there the workers' sockets are their own, or
 * `node:cluster` holds one for all of them.
 *
 * @throws the system's error: `EADDRINUSE`, `EACCES`, `EMFILE`; LoopError `ERR_UNSUPPORTED`
 */
export async function openPort(loop: BaseEventLoop, settings: Settings): Promise<WorkerPort> {
  const { host, port, kind } = settings;
  const [first] = await loop.getaddrinfo(host, port, { type: SOCK_STREAM });
  const address = [first?.sockaddr[0] as string, port] as const;
  if (loop._backend.sockets !== null) return openSockets(loop, address, settings.workers);
  if (kind === 'thread' && !loop._backend.reusePort) {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      'serveWorkers(): the threads of the node backend share a port only on Linux with Node 22.12 or 23.1: ' +
        "use { kind: 'process' } or the native backend",
    );
  }
  const by = kind === 'thread' ? 'reusePort' : 'cluster';
  const chosen = await findPort(loop, address);
  return { port: chosen, listenOn: () => ({ by, host: address[0], port: chosen }), close: () => {} };
}

/** Checks that no other program listens at the port, and returns its number. */
async function findPort(loop: BaseEventLoop, [host, port]: Address): Promise<number> {
  const server = await loop.createServer(() => new Protocol(), host, port, { startServing: false });
  const found = server.sockets[0]?.getsockname()?.[1] as number;
  server.close();
  await server.waitClosed();
  return found;
}

function openSockets(loop: BaseEventLoop, [host, port]: Address, workers: number): WorkerPort {
  // SO_REUSEPORT would join the workers of another supervisor. Without it, the system finds them.
  if (port !== 0) bound(loop, [host, port], false).close();
  const sockets: Socket[] = [];
  const close = (): void => {
    for (const socket of sockets) socket.close();
  };
  let chosen = port;
  try {
    while (sockets.length < workers) {
      const socket = bound(loop, [host, chosen], true);
      sockets.push(socket);
      chosen = socket.getsockname()?.[1] as number;
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    port: chosen,
    listenOn: (slot) => ({ by: 'descriptor', fd: (sockets[slot] as Socket).fileno() }),
    close,
  };
}

function bound(loop: BaseEventLoop, address: Address, reusePort: boolean): Socket {
  const family = address[0].includes(':') ? AF_INET6 : AF_INET;
  const socket = new Socket(family, SOCK_STREAM, 0, { loop });
  try {
    socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, true);
    if (reusePort) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, true);
    socket.bind([...address]);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}
