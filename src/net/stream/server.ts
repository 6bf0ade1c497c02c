/** A listening server, and the connections that it has accepted. */

import type { RawListener, RawStream } from '../../backend/backend.ts';
import { formatAddress } from '../../base/address.ts';
import { AF_UNSPEC } from '../../base/constants.ts';
import { InvalidStateError, LoopError } from '../../base/errors.ts';
import { LinkedList } from '../../base/linked-list.ts';
import { counted, showInOneLine } from '../../base/one-line.ts';
import { describeValue } from '../../base/validate.ts';
import type { CapturedContext } from '../../loop/context.ts';
import { captureContext, runInLoop } from '../../loop/context.ts';
import { rememberAccepted, rememberOrigin } from '../../loop/creation.ts';
import type { TimerHandle } from '../../loop/handle.ts';
import type { Resource, ResourceFacts } from '../../loop/ownership.ts';
import type { Loop } from '../../loop/types.ts';
import type { SignalOptions } from '../../tasks/abort-signal.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import { aborted, signalOf } from '../../tasks/settled.ts';
import { addressFamily } from '../names/resolve.ts';
import { explainPort } from '../port-error.ts';
import type { ProtocolFactory, StreamProtocol } from '../protocol.ts';
import { STREAM_PROTOCOL_METHODS } from '../protocol.ts';
import { makeProtocol, makerOf } from '../protocol-caller.ts';
import { handshake, withPeer } from '../tls/handshake.ts';
import { currentTransport } from '../tls/start-tls.ts';
import type { TlsRole } from '../tls/tls-options.ts';
import { isOwnFault } from '../tls/tls-stream.ts';
import { TransportSocket } from '../transport-socket.ts';
import { AbstractServer } from './abstract-server.ts';
import type { ConnectionOwner, ServedConnection } from './served-connection.ts';
import { SecuredConnection } from './served-connection.ts';
import type { TransportOwner } from './stream-transport.ts';
import { StreamTransport } from './stream-transport.ts';

/**
 * Opens the sockets of a server into `opened`. They accept connections at once if `serves` is true. If it
 * fails, `opened` is empty.
 */
export type Listen = (opened: RawListener[], serves: boolean) => Promise<void>;

/** The address of a server, as `net.Server.address()` returns it. */
export interface ServerAddress {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

/** Seconds before the server accepts again, after the system has refused a connection. As in asyncio. */
const ACCEPT_RETRY_SECONDS = 1;

/** The states in reports. */
const STATES = {
  new: 'not started',
  starting: 'starting',
  bound: 'bound',
  serving: 'listening',
  closed: 'closed',
};

/**
 * A TCP or unix server, from `createServer`, `startServer` and their unix counterparts.
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
export class Server extends AbstractServer implements ConnectionOwner, Resource {
  readonly #loop: Loop;
  readonly #makeProtocol: () => StreamProtocol;
  readonly #context: CapturedContext;
  readonly #listen: Listen;
  readonly #prepare: (stream: RawStream) => void;
  readonly #tls: TlsRole | null;
  readonly #connections: LinkedList<ServedConnection> = new LinkedList();
  /**
   * The open connection that was made last, to detect a factory that returns one protocol again and again.
   */
  #newest: StreamTransport | null = null;
  /**
   * The listening sockets. `_start` appends each as soon as it is open, so that a close meanwhile finds it.
   */
  readonly #listeners: RawListener[] = [];
  /** Connections that the host accepted before the server served, or while the loop did not run. */
  readonly #accepted: RawStream[] = [];
  /** The timers of listeners that could not accept. */
  readonly #retries: Map<RawListener, TimerHandle> = new Map();
  /** False: enough connections wait to be taken. */
  #accepting: boolean = true;
  /** The addresses of the sockets, kept after the close for the names of connections in reports. */
  #addresses: string = '';
  #state: 'new' | 'starting' | 'bound' | 'serving' | 'closed' = 'new';
  /** Whether the sockets are open: until the server is closed, or fails to start. */
  #isBound: boolean = false;
  readonly #startWaiters: Set<Future<void>> = new Set();
  readonly #closedWaiters: Set<Future<void>> = new Set();
  #serveForever: Future<void> | null = null;

  /** Use `loop.createServer()`. @internal */
  constructor(
    loop: Loop,
    factory: ProtocolFactory<StreamProtocol>,
    listen: Listen,
    prepare: (stream: RawStream) => void,
    tls: TlsRole | null,
  ) {
    super();
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#makeProtocol = makerOf(factory);
    this.#context = captureContext(loop);
    this.#listen = listen;
    this.#prepare = prepare;
    this.#tls = tls;
  }

  /** The bound sockets, also before the server serves. Empty after the close. */
  get sockets(): readonly TransportSocket[] {
    return this.#isBound ? this.#listeners.map((listener) => listenerSocket(this.#loop, listener)) : [];
  }

  /**
   * Returns the address of the first of the {@link sockets}, as `net.Server.address()` does.
   *
   * @returns `{ address, family, port }` with `'IPv4'` or `'IPv6'` as the family; for a unix socket its path;
   *   null if the server is not bound
   */
  address(): ServerAddress | string | null {
    const sockname = this.#isBound ? (this.#listeners[0]?.sockname() ?? null) : null;
    if (sockname === null || typeof sockname === 'string') return sockname;
    const [address, port] = sockname;
    return { address, family: sockname.length === 4 ? 'IPv6' : 'IPv4', port };
  }

  /** Returns the loop of the server. */
  getLoop(): Loop {
    return this.#loop;
  }

  /** Returns whether the server accepts connections. */
  isServing(): boolean {
    return this.#state === 'serving';
  }

  /**
   * Starts accepting connections. Does nothing if the server serves already. If the server is starting, it
   * waits for that.
   *
   * @throws LoopError `ERR_TRANSPORT_CLOSED` if the server is closed; the system's error (`EADDRINUSE`) if it
   *   cannot listen. The server then has no sockets any more
   *
   * @param options `signal` cancels the call
   *
   * **Cancellation** The server does not listen afterwards.
   *
   * **Backends** The portable backend cannot bind without listening: clients that connect before this call
   * wait, up to the backlog. On the native backend they are refused.
   */
  startServing(options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    this.#checkNotClosed('startServing');
    if (signal?.aborted) return aborted(this.#loop, signal);
    return cancelOnAbort(
      operation(this.#loop, 'startServing', () => this._start()),
      signal,
    );
  }

  /**
   * Serves until the call is cancelled or the server is closed. Then it closes the server and its
   * connections, and waits until all of them are gone.
   *
   * @param options `signal` cancels the call. If it is aborted before, the server stays as it is
   * @throws LoopError `ERR_TRANSPORT_CLOSED` if the server is closed; `ERR_LOOP_RUNNING` if another
   *   `serveForever()` of this server is under way
   */
  serveForever(options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    this.#checkNotClosed('serveForever');
    if (this.#serveForever !== null) {
      throw new LoopError('ERR_LOOP_RUNNING', 'serveForever(): this server is being served already');
    }
    if (signal?.aborted) return aborted(this.#loop, signal);
    const forever = new Future<void>(this.#loop);
    this.#serveForever = forever;
    const serving = operation(this.#loop, 'serveForever', async () => {
      try {
        await this._start();
        await forever;
      } finally {
        this.#serveForever = null;
        this.close();
        // Without this, one client that stays connected would block a cancelled server, and Ctrl-C, for ever.
        this.closeClients();
        await this.waitClosed();
      }
    });
    return cancelOnAbort(serving, signal);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopListening();
    this._closed();
    this.#serveForever?.cancel('the server was closed');
    this.#wakeIfGone();
  }

  waitClosed(options?: SignalOptions): Future<void> {
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#loop, signal);
    if (!this.#gone()) return cancelOnAbort(waitIn(this.#loop, this.#closedWaiters), signal);
    const future = new Future<void>(this.#loop);
    future.setResult(undefined);
    return future;
  }

  /** Closes all open connections, as `transport.close()` does. */
  closeClients(): void {
    for (const connection of this.#connections) currentTransport(connection).close();
  }

  /** Aborts all open connections: drops their buffered data. */
  abortClients(): void {
    for (const connection of this.#connections) currentTransport(connection).abort();
  }

  /** Opens the sockets. @param serves whether they accept connections at once @internal */
  async _start(serves: boolean = true): Promise<void> {
    while (this.#state === 'starting') await waitIn(this.#loop, this.#startWaiters);
    if (this.#state === 'serving') return;
    this.#checkNotClosed('startServing');
    this.#state = 'starting';
    this.#loop._owned.resources.add(this);
    try {
      if (this.#isBound) for (const listener of this.#listeners) serveOn(listener);
      else await this.#open(serves);
      this.#state = serves ? 'serving' : 'bound';
    } catch (error) {
      this.#stopListening();
      if (this.#state === 'starting') this.#state = 'new';
      throw error;
    } finally {
      wake(this.#startWaiters);
    }
    if (serves && this.#accepted.length > 0) this.#acceptSoon();
  }

  async #open(serves: boolean): Promise<void> {
    await this.#listen(this.#listeners, serves);
    this.#checkNotClosed('startServing');
    this.#isBound = true;
    this.#addresses = this.#listeners.map(addressOf).join(', ');
  }

  /** Takes a connection that a listener has accepted. @internal */
  _accept(stream: RawStream): void {
    if (this.#state === 'serving' && this.#loop.isRunning() && this.#accepted.length === 0) {
      runInLoop(this.#loop, Server.#acceptIn, { server: this as Server, stream });
    } else if (this.#state !== 'new' && this.#state !== 'closed') {
      this.#accepted.push(stream);
      if (this.#state === 'serving' && this.#accepted.length === 1) this.#acceptSoon();
    } else {
      stream.abort();
    }
  }

  static #acceptIn({ server, stream }: { server: Server; stream: RawStream }): void {
    server.#accept(stream);
  }

  #acceptSoon(): void {
    this.#loop._scheduler.callSoon(() => {
      for (const stream of this.#accepted.splice(0)) this.#accept(stream);
    }, []);
  }

  #accept(stream: RawStream): void {
    // A protocol that was made a moment ago may have closed the server.
    if (this.#state === 'closed') {
      stream.abort();
      return;
    }
    this.#prepare(stream);
    if (this.#tls !== null) {
      this.#secure(stream, this.#tls);
      return;
    }
    const transport = this.#serve(stream, this);
    if (transport === null) return;
    this.#connections.add(transport);
    transport._begin();
  }

  /** Makes a protocol, and a transport for it over the stream. Returns null if the factory fails. */
  #serve(stream: RawStream, owner: TransportOwner | null): StreamTransport | null {
    try {
      const protocol = makeProtocol(this.#loop, this.#context, this.#makeProtocol, STREAM_PROTOCOL_METHODS);
      if (protocol === this.#newest?.getProtocol()) {
        throw new InvalidStateError(
          `protocolFactory() returned ${describeValue(protocol)} that serves an open connection: ` +
            'return a new protocol for each connection',
        );
      }
      const transport = new StreamTransport(this.#loop, stream, protocol, this.#context, owner);
      this.#newest = transport;
      rememberAccepted(transport, this, this.#loop);
      return transport;
    } catch (exception) {
      stream.abort();
      this._acceptFailed('exception in the protocol factory: the connection is aborted', exception);
      return null;
    }
  }

  #secure(stream: RawStream, tls: TlsRole): void {
    const connection = new SecuredConnection(this);
    const request = handshake(this.#loop, tls, withPeer(stream.info().peername), (layer) => {
      new StreamTransport(this.#loop, stream, layer, this.#context, connection)._begin();
    });
    rememberAccepted(request, this, this.#loop);
    const cancelHandshake = (): void => void request.cancel();
    connection.ending = { close: cancelHandshake, abort: cancelHandshake };
    if (!connection.isGone()) this.#connections.add(connection);
    request._ignoreException();
    request._onSettled = () => {
      if (request.cancelled()) return;
      if (request._state === 'exception') {
        this.#handshakeFailed(request._value);
        return;
      }
      // The connection was lost after the handshake had ended.
      if (connection.isGone()) return;
      const transport = this.#serve(request.result(), null);
      if (transport === null) return;
      connection.ending = transport;
      transport._begin();
    };
  }

  /**
   * Reports a failed handshake only if it is the server's own fault, or in debug mode. Faulty peers and port
   * scanners are everyday business.
   */
  #handshakeFailed(exception: unknown): void {
    if (!this.#loop.debug && !isOwnFault(exception)) return;
    this._acceptFailed('a TLS handshake failed: the connection is aborted', exception);
  }

  /**
   * Reports that the system refused to accept a connection, and stops accepting for a second. At once, the
   * system would refuse again, and the report would repeat without end.
   *
   * @internal
   */
  _cannotAccept(listener: RawListener, error: Error): void {
    const when = this.#loop.time() + ACCEPT_RETRY_SECONDS;
    this.#retries.set(
      listener,
      this.#loop._scheduler.callAt(when, () => this.#retry(listener), []),
    );
    this._acceptFailed('the system could not accept a connection; the server tries again in a second', error);
  }

  #retry(listener: RawListener): void {
    this.#retries.delete(listener);
    if (this.#accepting) listener.acceptStart();
  }

  /** Stops accepting connections, or goes on. Clients then wait in the backlog of the kernel. @internal */
  _setAccepting(accepting: boolean): void {
    if (this.#accepting === accepting) return;
    this.#accepting = accepting;
    for (const listener of this.#listeners) {
      if (!accepting) listener.acceptStop();
      else if (!this.#retries.has(listener)) listener.acceptStart();
    }
  }

  /** Called when the server was closed, also with its loop. @internal */
  _closed(): void {}

  /** @internal */
  _acceptFailed(message: string, exception: unknown): void {
    this.#loop.callExceptionHandler({ message, exception, server: this });
  }

  /** @internal */
  _detach(connection: ServedConnection): void {
    const transport = connection instanceof SecuredConnection ? connection.ending : connection;
    if (transport === this.#newest) this.#newest = null;
    this.#connections.delete(connection);
    this.#wakeIfGone();
  }

  /** @internal */
  _facts(): string {
    const at = this.#addresses === '' ? '' : `${this.#addresses}, `;
    return `${at}${STATES[this.#state]}, ${counted(this.#connections.size, 'connection')}`;
  }

  /** @internal */
  _resourceFacts(): ResourceFacts {
    const local = this.#addresses === '' ? null : this.#addresses;
    return { kind: 'server', state: STATES[this.#state], local, connections: this.#connections.size };
  }

  /** @internal */
  _more(): Record<string, unknown> {
    return { sockets: this.sockets, loop: this.#loop };
  }

  /** @internal */
  _describe(): string {
    if (this.#state === 'starting') return 'a server was still starting';
    return `a server was still ${this.#state === 'bound' ? 'bound to' : 'listening on'} ${this.#addresses}`;
  }

  /** @internal */
  _name(): string {
    return `the server on ${this.#addresses}`;
  }

  /** @internal */
  _forceClose(): void {
    this.#state = 'closed';
    this.#stopListening();
    this._closed();
    this.#wakeIfGone();
  }

  #stopListening(): void {
    this.#isBound = false;
    for (const listener of this.#listeners.splice(0)) listener.close();
    for (const retry of this.#retries.values()) retry.cancel();
    this.#retries.clear();
    for (const stream of this.#accepted.splice(0)) stream.abort();
    this.#loop._owned.resources.delete(this);
  }

  #gone(): boolean {
    return this.#state === 'closed' && this.#connections.size === 0;
  }

  #wakeIfGone(): void {
    if (this.#gone()) wake(this.#closedWaiters);
  }

  #checkNotClosed(method: string): void {
    if (this.#loop.isClosed())
      throw new LoopError('ERR_LOOP_CLOSED', 'the event loop of this server is closed');
    if (this.#state === 'closed') {
      throw new LoopError('ERR_TRANSPORT_CLOSED', `${method}(): this server is closed`);
    }
  }
}

showInOneLine(Server);

/** Returns a future that `wake` completes. A waiter that is cancelled removes itself. */
function waitIn(loop: Loop, waiters: Set<Future<void>>): Future<void> {
  const future = new Future<void>(loop);
  waiters.add(future);
  future._onSettled = () => waiters.delete(future);
  return future;
}

function wake(waiters: Set<Future<void>>): void {
  for (const waiter of waiters) waiter.setResult(undefined);
}

function serveOn(listener: RawListener): void {
  try {
    listener.serve();
  } catch (error) {
    throw explainPort(error as Error, listener.sockname());
  }
}

function addressOf(listener: RawListener): string {
  const sockname = listener.sockname();
  return sockname === null ? '?' : formatAddress(sockname);
}

function listenerSocket(loop: Loop, listener: RawListener): TransportSocket {
  const sockname = listener.sockname();
  const { system } = listener;
  const handle = {
    fileno: () => listener.fileno(),
    ...(system === undefined ? {} : { system }),
  };
  const family = sockname === null ? AF_UNSPEC : addressFamily(sockname);
  return new TransportSocket(
    loop,
    { family, sockname, peername: null, handle, direction: 'both', halfClose: false, extra: {} },
    handle,
  );
}
