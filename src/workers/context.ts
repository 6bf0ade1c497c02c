/** The argument of a worker's `main()`. */
import { once } from 'node:events';
import type { Server as NetServer } from 'node:net';
import { createServer } from 'node:net';
import type { AppServer } from '../adapters/app-server.ts';
import type { ServeOptions } from '../adapters/serve.ts';
import { serve } from '../adapters/serve.ts';
import type { ServeTarget } from '../adapters/serve-targets.ts';
import { InvalidStateError } from '../base/errors.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import type { ProtocolFactory, StreamProtocol } from '../net/protocol.ts';
import { Socket } from '../net/socket/socket.ts';
import type { ServerOptions } from '../net/stream/listen.ts';
import type { Server } from '../net/stream/server.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import type { Task } from '../tasks/task.ts';
import type { StartMessage } from './messages.ts';
import { INHERITED_DESCRIPTOR } from './worker-link.ts';

/** The options of a worker's server, without those of the address, which `serveWorkers()` has. */
export type WorkerServerOptions = Omit<
  ServerOptions,
  'sock' | 'family' | 'flags' | 'reuseAddress' | 'reusePort' | 'backlog' | 'startServing'
>;

/** The options of `context.serve()`. */
export type WorkerServeOptions = WorkerServerOptions & Pick<ServeOptions, 'onClosing'>;

/** A server of the worker, for its end. */
interface Served {
  /** Stops accepting. */
  close(): void;
  /** Ends the connections that are left. */
  abort(): void;
  /** Done when the server and its connections are closed. */
  readonly gone: Task<unknown>;
}

/**
 * The place of a worker among the others, and its share of the port.
 *
 * @example
 * ```ts
 * import type { WorkerContext } from 'gyre/workers';
 *
 * export async function main(context: WorkerContext): Promise<void> {
 *   await context.serve((_request, response) => response.end(`worker ${context.worker}\n`));
 * }
 * ```
 */
export class WorkerContext {
  /** The number of this worker, from 1. A worker that takes the place of another one has its number. */
  readonly worker: number;
  /** How often a worker of this number was started, from 1. */
  readonly generation: number;
  /** The number of workers. */
  readonly workers: number;
  /** Whether this worker is a thread or a process. */
  readonly kind: 'thread' | 'process';
  /** The port of all workers. */
  readonly port: number;
  /** The loop of this worker. */
  readonly loop: BaseEventLoop;
  /** Aborts when the worker shall end: its server stops accepting, and no other work should begin. */
  readonly signal: AbortSignal;
  readonly #start: StartMessage;
  readonly #onReady: () => void;
  #claimed: boolean = false;
  #served: Served | null = null;

  /** @internal */
  constructor(loop: BaseEventLoop, start: StartMessage, signal: AbortSignal, onReady: () => void) {
    this.loop = loop;
    this.worker = start.worker;
    this.generation = start.generation;
    this.workers = start.workers;
    this.kind = start.kind;
    this.port = start.port;
    this.signal = signal;
    this.#start = start;
    this.#onReady = onReady;
  }

  /**
   * Tells the supervisor that this worker does its work. The worker's server does so by itself when it
   * accepts connections, and so does a `main()` that returns. Idempotent.
   */
  ready(): void {
    this.#onReady();
  }

  /**
   * Serves the port by `loop.createServer()`. A worker has one server at the port.
   *
   * The worker closes the server when it shall end, and waits for the connections. `main()` may return
   * meanwhile, or wait for anything.
   *
   * @param protocolFactory makes the protocol of each connection
   * @param options those of `loop.createServer()`, without the address
   * @throws {@link InvalidStateError} for a second server at the port
   */
  createServer(
    protocolFactory: ProtocolFactory<StreamProtocol>,
    options: WorkerServerOptions = {},
  ): Future<Server> {
    return this.#open(
      'createServer',
      ({ host, port, ...address }) =>
        this.loop.createServer(protocolFactory, host, port, { ...options, ...address }),
      (server) => ({
        close: () => server.close(),
        abort: () => server.abortClients(),
        gone: this.loop.createTask(() => server.waitClosed(), { name: 'the server of this worker' }),
      }),
    );
  }

  /**
   * Serves the port by `serve()` of `gyre/node`: a server of `node:http`, an Express or Fastify app, and
   * others. A worker has one server at the port.
   *
   * The worker ends the server gracefully when it shall end. The deadline is that of `serveWorkers()`.
   *
   * @param target a server or app: see `serve()`
   * @param options those of `serve()`, without the address and the deadline
   * @throws {@link InvalidStateError} for a second server at the port; the errors of `serve()`
   */
  serve(target: ServeTarget, options: WorkerServeOptions = {}): Future<AppServer> {
    return this.#open(
      'serve',
      (address) => serve(target, { ...options, ...address, deadline: null, loop: this.loop }),
      (server) => {
        const end = (deadline: number | null) => server.close({ deadline })._ignoreException();
        return {
          close: () => end(null),
          abort: () => end(0),
          gone: this.loop.createTask(() => server.serveForever(), { name: 'the server of this worker' }),
        };
      },
    );
  }

  /** Stops accepting connections. @internal */
  _close(): void {
    this.#served?.close();
  }

  /** Aborts the connections that are left. @internal */
  _abort(): void {
    this.#served?.abort();
  }

  /** Waits until the server and its connections are closed, if there is one. @internal */
  async _untilClosed(): Promise<void> {
    await this.#served?.gone;
  }

  #open<S extends Server | AppServer>(
    name: string,
    open: (address: WorkerAddress) => Future<S>,
    servedBy: (server: S) => Served,
  ): Future<S> {
    if (this.#claimed) {
      throw new InvalidStateError(`${name}(): this worker has a server at port ${this.port} already`);
    }
    this.#claimed = true;
    return operation(this.loop, name, async () => {
      const server = await open(await this.#address());
      this.#served = servedBy(server);
      // The worker was asked to end meanwhile.
      if (this.signal.aborted) this.#served.close();
      else this.ready();
      return server;
    });
  }

  async #address(): Promise<WorkerAddress> {
    const { listenOn, backlog, kind } = this.#start;
    if (listenOn.by === 'descriptor') {
      const sock = kind === 'process' ? INHERITED_DESCRIPTOR : duplicate(this.loop, listenOn.fd);
      return { host: null, port: null, sock, backlog };
    }
    const { host, port } = listenOn;
    if (listenOn.by === 'reusePort') return { host, port, reusePort: true, backlog };
    return { host: null, port: null, sock: await listenInCluster(host, port, backlog) };
  }
}

/** The options of `createServer()` and `serve()` that open the share of the port. */
interface WorkerAddress {
  readonly host: string | null;
  readonly port: number | null;
  readonly sock?: unknown;
  readonly reusePort?: boolean;
  readonly backlog?: number;
}

/** Duplicates a socket that the supervisor's thread holds, so that each can close its own descriptor. */
function duplicate(loop: BaseEventLoop, fd: number): Socket {
  const shared = new Socket(undefined, undefined, undefined, { fileno: fd, loop });
  try {
    return Socket._of(loop, shared._raw.duplicate());
  } finally {
    shared.detach();
  }
}

/** Opens a server at the socket that the supervisor's process holds for all workers. */
async function listenInCluster(host: string, port: number, backlog: number): Promise<NetServer> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.listen({ host, port, backlog });
  await once(server, 'listening');
  return server;
}
