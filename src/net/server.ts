/** A listening server and the connections it accepted. */
import type { RawListener, RawStream } from '../backend/backend.ts';
import { formatAddress } from '../base/address.ts';
import { LoopError } from '../base/errors.ts';
import type { CapturedContext } from '../loop/context.ts';
import { captureContext, runInLoop } from '../loop/context.ts';
import type { Owned } from '../loop/ownership.ts';
import { captureOrigin } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import { Future } from '../tasks/future.ts';
import { operation } from '../tasks/task.ts';
import type { StreamProtocol } from './protocol.ts';
import { addressFamily } from './resolve.ts';
import { checkProtocol, StreamTransport } from './stream-transport.ts';
import type { TransportOwner } from './stream-transport.ts';
import { TransportSocket } from './transport-socket.ts';

/** Binds the sockets of a server: at once, or when it is told to start. */
export type Listen = (server: Server) => Promise<RawListener[]>;

/** What the founding document promises of a server. */
export abstract class AbstractServer implements AsyncDisposable {
  /** Stops listening; open connections stay open. Idempotent. */
  abstract close(): void;
  /** Done once it is closed and every connection of it is gone. */
  abstract waitClosed(): Future<void>;

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.waitClosed();
  }
}

/**
 * A TCP server: what `createServer` and `startServer` answer.
 *
 * @example
 * ```ts
 * import { getRunningLoop, Protocol, run } from 'gyre';
 *
 * await run(async () => {
 *   const server = await getRunningLoop().createServer(() => new Protocol(), '127.0.0.1', 0);
 *   console.log(server.sockets.length, server.isServing()); // 1 true
 *   server.close();
 *   await server.waitClosed();
 * });
 * ```
 */
export class Server extends AbstractServer implements TransportOwner, Owned {
  /** @internal */ readonly _origin: string | null;
  readonly #loop: Loop;
  readonly #factory: () => StreamProtocol;
  readonly #context: CapturedContext;
  readonly #listen: Listen;
  readonly #prepare: (stream: RawStream) => void;
  readonly #connections: Set<StreamTransport> = new Set();
  #listeners: RawListener[] = [];
  #state: 'new' | 'starting' | 'serving' | 'closed' = 'new';
  #closedWaiters: Future<void>[] = [];
  #serveForever: Future<void> | null = null;

  /** Use `loop.createServer()`. @internal */
  constructor(
    loop: Loop,
    factory: () => StreamProtocol,
    listen: Listen,
    prepare: (stream: RawStream) => void,
  ) {
    super();
    this._origin = loop.debug ? captureOrigin(new.target) : null;
    this.#loop = loop;
    this.#factory = factory;
    this.#context = captureContext(loop);
    this.#listen = listen;
    this.#prepare = prepare;
  }

  /** The listening sockets: none before it serves and after it is closed. */
  get sockets(): readonly TransportSocket[] {
    return this.#listeners.map((listener) => listenerSocket(listener));
  }

  isServing(): boolean {
    return this.#state === 'serving';
  }

  /**
   * Starts to accept connections. Does nothing when it serves already.
   *
   * @throws LoopError `ERR_TRANSPORT_CLOSED` when it is closed; the system's error (`EADDRINUSE`) when it cannot listen
   *
   * **Cancellation** leaves it not listening.
   */
  startServing(): Future<void> {
    this.#checkNotClosed('startServing');
    return operation(this.#loop, 'startServing', () => this._start());
  }

  /**
   * Serves until it is cancelled; then closes the server and waits until it is closed.
   *
   * @throws LoopError `ERR_TRANSPORT_CLOSED` when it is closed, `ERR_LOOP_RUNNING` when somebody else serves it for ever
   */
  serveForever(): Future<void> {
    this.#checkNotClosed('serveForever');
    if (this.#serveForever !== null) {
      throw new LoopError('ERR_LOOP_RUNNING', 'serveForever() is under way for this server already');
    }
    const forever = new Future<void>(this.#loop);
    this.#serveForever = forever;
    return operation(this.#loop, 'serveForever', async () => {
      try {
        await this._start();
        await forever;
      } finally {
        this.#serveForever = null;
        this.close();
        await this.waitClosed();
      }
    });
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const listener of this.#listeners) listener.close();
    this.#listeners = [];
    this.#loop._owned.resources.delete(this);
    this.#serveForever?.cancel();
    this.#wakeIfGone();
  }

  waitClosed(): Future<void> {
    const future = new Future<void>(this.#loop);
    if (this.#gone()) future.setResult(undefined);
    else this.#closedWaiters.push(future);
    return future;
  }

  /** Closes every open connection of it, as `transport.close()` does. */
  closeClients(): void {
    for (const transport of [...this.#connections]) transport.close();
  }

  /** Aborts every open connection of it: what is buffered is dropped. */
  abortClients(): void {
    for (const transport of [...this.#connections]) transport.abort();
  }

  /** @internal */
  async _start(): Promise<void> {
    if (this.#state !== 'new') return;
    this.#state = 'starting';
    let listeners: RawListener[];
    try {
      listeners = await this.#listen(this);
    } catch (error) {
      if (this.#state === 'starting') this.#state = 'new';
      throw error;
    }
    if (this.#state !== 'starting') {
      for (const listener of listeners) listener.close();
      this.#checkNotClosed('startServing');
    }
    this.#listeners = listeners;
    this.#state = 'serving';
    this.#loop._owned.resources.add(this);
  }

  /** A connection was accepted. @internal */
  _accept(stream: RawStream): void {
    if (this.#loop.isRunning()) runInLoop(this.#loop, Server.#acceptIn, { server: this as Server, stream });
    else this.#loop._scheduler.callSoon(() => this.#accept(stream), []);
  }

  static #acceptIn({ server, stream }: { server: Server; stream: RawStream }): void {
    server.#accept(stream);
  }

  #accept(stream: RawStream): void {
    if (this.#state === 'closed') {
      stream.abort();
      return;
    }
    let protocol: StreamProtocol;
    try {
      protocol = this.#context.runInAsyncScope(this.#factory, undefined, undefined as never);
      checkProtocol('protocolFactory()', protocol);
      this.#prepare(stream);
    } catch (exception) {
      stream.abort();
      this._acceptFailed('exception in the protocol factory: the connection is aborted', exception);
      return;
    }
    const transport = new StreamTransport(this.#loop, stream, protocol, this.#context, this);
    this.#connections.add(transport);
    transport._begin();
  }

  /** @internal */
  _acceptFailed(message: string, exception: unknown): void {
    this.#loop.callExceptionHandler({ message, exception, server: this });
  }

  /** @internal */
  _detach(transport: StreamTransport): void {
    this.#connections.delete(transport);
    this.#wakeIfGone();
  }

  /** @internal */
  _describe(): string {
    const addresses = this.#listeners.map((listener) => listener.sockname());
    return `a server was still listening on ${addresses.map((a) => (a === null ? '?' : formatAddress(a))).join(', ')}`;
  }

  /** @internal */
  _abandon(): void {
    this.#state = 'closed';
    for (const listener of this.#listeners) listener.close();
    this.#listeners = [];
  }

  #gone(): boolean {
    return this.#state === 'closed' && this.#connections.size === 0;
  }

  #wakeIfGone(): void {
    if (!this.#gone()) return;
    const waiters = this.#closedWaiters;
    this.#closedWaiters = [];
    for (const waiter of waiters) if (!waiter.done()) waiter.setResult(undefined);
  }

  #checkNotClosed(method: string): void {
    if (this.#state === 'closed') {
      throw new LoopError('ERR_TRANSPORT_CLOSED', `${method}(): this server is closed`);
    }
  }
}

function listenerSocket(listener: RawListener): TransportSocket {
  const sockname = listener.sockname();
  return new TransportSocket({
    family: sockname === null ? 0 : addressFamily(sockname),
    sockname,
    peername: null,
    handle: {
      fileno: () => listener.fileno(),
      setNoDelay: notConnected,
      setKeepAlive: notConnected,
    },
  });
}

function notConnected(): void {
  throw new LoopError('ERR_UNSUPPORTED', 'a listening socket has no connection to set this for');
}
