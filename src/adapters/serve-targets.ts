/**
 * The servers of the ecosystem that `serve()` feeds with connections, and how each of them ends its
 * connections without losing a request.
 */
import type { Server as HttpServer, IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Server as NetServer } from 'node:net';
import { InvalidStateError } from '../base/errors.ts';
import { invalidArgType } from '../base/validate.ts';
import { trackHttpConnections } from './http-connections.ts';
import type { TransportDuplex } from './transport-duplex.ts';

/** The part of a Fastify instance that `serve()` uses. */
export interface FastifyLike {
  readonly server: NetServer;
  ready(): PromiseLike<unknown>;
  close(): PromiseLike<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: Fastify's own types differ with each kind of server
  register(plugin: (instance: any) => Promise<void>): unknown;
}

/** The part of a connection injector of `@grpc/grpc-js` that `serve()` uses. */
export interface ConnectionInjectorLike {
  injectConnection(connection: TransportDuplex): void;
  drain(graceTimeMilliseconds: number): void;
  destroy(): void;
}

/** A server or app that `serve()` accepts. */
export type ServeTarget =
  | ((request: IncomingMessage, response: ServerResponse) => unknown)
  | NetServer
  | FastifyLike
  | ConnectionInjectorLike;

/** A server that gets its connections from `serve()`. */
export interface Target {
  /** Whether a connection stays open for writing after the peer has ended its side. */
  readonly allowHalfOpen: boolean;
  /** Prepares the server. It may fail, and then needs no `end()`. */
  begin(): PromiseLike<unknown> | void;
  accept(duplex: TransportDuplex): void;
  /** Asks all connections to end as soon as their requests are done. */
  drain(graceSeconds: number | null): void;
  /** Ends the connections that wait for a request. Called from time to time after `drain()`. */
  endIdle(open: Iterable<TransportDuplex>): void;
  /** Releases the server, after the last connection has ended. */
  end(): void;
  /** Ends an app that has hooks of its own. One of them ends the connections, by the function that it got. */
  close?(): PromiseLike<unknown>;
}

/**
 * Returns the target's kind. Touches nothing yet.
 *
 * @param encrypted whether gyre does the TLS
 * @param end ends the connections, for a target that closes itself
 */
export function targetOf(target: unknown, encrypted: boolean, end: () => PromiseLike<void>): Target {
  if (typeof target === 'function')
    return new HttpTarget(createServer(target as RequestListener), 'connection');
  if (hasMethods(target, 'injectConnection', 'drain', 'destroy')) {
    return new InjectorTarget(claimable(target as unknown as ConnectionInjectorLike));
  }
  if (hasMethods(target, 'ready', 'register', 'close') && isServer((target as { server?: unknown }).server)) {
    return new FastifyTarget(target as unknown as FastifyLike, encrypted, end);
  }
  if (isServer(target)) return serverTarget(target, encrypted);
  throw invalidArgType(
    'target',
    target,
    hasMethods(target, 'fetch')
      ? 'a server or a request listener: make one of fetch() by getRequestListener() of @hono/node-server'
      : 'a server of node:http, node:http2 or node:net, a request listener (an Express app is one), a Fastify ' +
          'instance or a connection injector of gRPC',
  );
}

function serverTarget(server: NetServer, encrypted: boolean): Target {
  claimable(server);
  if (server.listening) {
    throw new InvalidStateError('serve(): this server listens by itself; pass one that does not listen');
  }
  // With TLS of gyre, a TLS server of Node gets the connections behind its own TLS.
  const event = encrypted && hasMethods(server, 'setSecureContext') ? 'secureConnection' : 'connection';
  if (hasMethods(server, 'updateSettings')) return new Http2Target(server, event);
  if (hasMethods(server, 'closeIdleConnections')) return new HttpTarget(server as HttpServer, event);
  return new NetTarget(server, event);
}

/** The servers that are served. Two would end each other's connections. */
const served: WeakSet<object> = new WeakSet();

function claimable<S extends object>(server: S): S {
  if (!served.has(server)) return server;
  throw new InvalidStateError('serve(): this server is served already; make another one for another address');
}

function hasMethods(value: unknown, ...names: string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

function isServer(value: unknown): value is NetServer {
  return hasMethods(value, 'emit', 'on', 'listen', 'close', 'address');
}

type ConnectionEvent = 'connection' | 'secureConnection';

/** Any server that takes its connections by an event. */
class NetTarget implements Target {
  readonly allowHalfOpen: boolean;
  protected readonly server: NetServer;
  readonly #event: ConnectionEvent;

  constructor(server: NetServer, event: ConnectionEvent) {
    this.server = server;
    this.#event = event;
    this.allowHalfOpen = (server as { allowHalfOpen?: unknown }).allowHalfOpen === true;
  }

  begin(): void {
    claimable(this.server);
    served.add(this.server);
  }

  accept(duplex: TransportDuplex): void {
    this.server.emit(this.#event, duplex);
  }

  drain(_graceSeconds: number | null): void {}

  endIdle(_open: Iterable<TransportDuplex>): void {}

  /** Emits `close`, and ends the timers of an HTTP server. */
  end(): void {
    served.delete(this.server);
    this.server.close();
  }
}

class HttpTarget extends NetTarget {
  readonly #http: HttpServer;
  readonly #responses: Set<ServerResponse> = new Set();
  #draining: boolean = false;

  constructor(server: HttpServer, event: ConnectionEvent) {
    super(server, event);
    this.#http = server;
  }

  override begin(): void {
    super.begin();
    trackHttpConnections(this.#http);
    this.#http.prependListener('request', this.#onRequest);
  }

  #onRequest = (_request: IncomingMessage, response: ServerResponse): void => {
    this.#responses.add(response);
    response.once('close', () => this.#responses.delete(response));
    if (this.#draining) lastOfConnection(response);
  };

  override drain(): void {
    this.#draining = true;
    for (const response of this.#responses) lastOfConnection(response);
  }

  override endIdle(open: Iterable<TransportDuplex>): void {
    this.#http.closeIdleConnections();
    // For Node a connection without any request is not idle, because its first request is due.
    for (const duplex of open) if (duplex.bytesRead === 0) duplex.destroy();
  }

  override end(): void {
    this.#http.removeListener('request', this.#onRequest);
    super.end();
  }
}

/** Tells the client that no other request may follow, if the headers are not sent yet. */
function lastOfConnection(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
}

/** A session of `node:http2`. */
interface Session {
  close(): void;
  once(event: 'close', listener: () => void): unknown;
}

class Http2Target extends NetTarget {
  readonly #sessions: Set<Session> = new Set();
  #draining: boolean = false;

  override begin(): void {
    super.begin();
    this.server.on('session', this.#onSession);
  }

  #onSession = (session: Session): void => {
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    if (this.#draining) session.close();
  };

  /** Sends GOAWAY: streams that are open end by themselves, and no other begins. */
  override drain(): void {
    this.#draining = true;
    for (const session of this.#sessions) session.close();
  }

  override end(): void {
    this.server.removeListener('session', this.#onSession as () => void);
    super.end();
  }
}

/** The longest timer of the host: 24.8 days. */
const LONGEST_TIMER_MILLISECONDS = 2 ** 31 - 1;

class InjectorTarget implements Target {
  readonly allowHalfOpen: boolean = false;
  readonly #injector: ConnectionInjectorLike;

  constructor(injector: ConnectionInjectorLike) {
    this.#injector = injector;
  }

  begin(): void {
    claimable(this.#injector);
    served.add(this.#injector);
  }

  accept(duplex: TransportDuplex): void {
    this.#injector.injectConnection(duplex);
  }

  drain(graceSeconds: number | null): void {
    this.#injector.drain(Math.min((graceSeconds ?? Infinity) * 1000, LONGEST_TIMER_MILLISECONDS));
  }

  endIdle(): void {}

  end(): void {
    served.delete(this.#injector);
    this.#injector.destroy();
  }
}

/** Fastify: its hooks run around the end of the connections, as if it listened by itself. */
class FastifyTarget implements Target {
  readonly #app: FastifyLike;
  readonly #target: Target;
  readonly #end: () => PromiseLike<void>;

  constructor(app: FastifyLike, encrypted: boolean, end: () => PromiseLike<void>) {
    this.#app = app;
    this.#target = serverTarget(app.server, encrypted);
    this.#end = end;
  }

  get allowHalfOpen(): boolean {
    return this.#target.allowHalfOpen;
  }

  /**
   * Registers the last plugin, so that its `preClose` hook runs after those of all others: they end
   * WebSockets. The `onClose` hooks, which end databases, run after it.
   */
  async begin(): Promise<void> {
    this.#app.register(async (instance: { addHook(name: string, hook: () => Promise<void>): unknown }) => {
      instance.addHook('preClose', async () => this.#end());
    });
    await this.#app.ready();
    await this.#target.begin();
  }

  accept(duplex: TransportDuplex): void {
    this.#target.accept(duplex);
  }

  drain(graceSeconds: number | null): void {
    this.#target.drain(graceSeconds);
  }

  endIdle(open: Iterable<TransportDuplex>): void {
    this.#target.endIdle(open);
  }

  end(): void {
    this.#target.end();
  }

  close(): PromiseLike<unknown> {
    return this.#app.close();
  }
}
