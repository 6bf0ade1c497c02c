/** `serve`: a server or app of the ecosystem over connections of the loop. */
import { checkFunction, checkOptions, checkSignal, invalidArgType } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { ServerOptions } from '../net/stream/listen.ts';
import { listen, SERVER_OPTIONS } from '../net/stream/listen.ts';
import { makeServer } from '../net/stream/open-server.ts';
import type { Server } from '../net/stream/server.ts';
import { createUnixServer } from '../net/stream/unix.ts';
import { isWanted } from '../net/tls/tls-options.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { aborted } from '../tasks/settled.ts';
import { loopFor } from './adapter.ts';
import { AppServer, checkDeadline } from './app-server.ts';
import type { ServeTarget } from './serve-targets.ts';
import { targetOf } from './serve-targets.ts';

/** The options of `serve`: those of `loop.createServer()`, and others. */
export interface ServeOptions extends Omit<ServerOptions, 'startServing'> {
  /** A name, a literal address or an array of them. Default: all interfaces. */
  host?: string | readonly string[] | null;
  /** A number, a string of digits, or the name of a service. 0: a free port. */
  port?: number | string | null;
  /** The path of a unix socket, in place of host and port. */
  path?: string;
  /**
   * Seconds from the beginning of the end until connections that are still open are aborted. Null: no limit.
   * Default: 10.
   */
  deadline?: number | null;
  /**
   * Called when the server has stopped listening. It ends what only the program knows: WebSockets, event
   * streams. The end waits for it, up to the deadline, and fails with its error.
   */
  onClosing?: () => unknown;
  /** The loop of the server. Default: the running loop. */
  loop?: Loop;
}

const OPTIONS = [
  'host',
  'port',
  'path',
  'deadline',
  'onClosing',
  'loop',
  ...SERVER_OPTIONS.filter((name) => name !== 'startServing'),
];

const DEFAULT_DEADLINE_SECONDS = 10;

/**
 * Serves an app or a server of the ecosystem over connections of the loop. Its handlers are code of the loop:
 * they sleep, start tasks and use everything else that needs a running loop.
 *
 * The target is one of these:
 *
 * - a function for requests: an Express app, Koa's `app.callback()`, Hono's `getRequestListener(app.fetch)`
 * - a server of `node:http`, `node:https`, `node:http2` or `node:net` that does not listen. A
 *   `WebSocketServer` of `ws` works on its `http.Server`
 * - a Fastify instance, before its `ready()`. `app.close()` ends the server, and the server's end runs the
 *   app's hooks
 * - a connection injector of `@grpc/grpc-js`: `server.createConnectionInjector(credentials)`
 *
 * With `ssl`, gyre does the TLS (also for the servers of `node:https`; HTTP/2 needs `ALPNProtocols: ['h2']`).
 * Without it, a server of `node:https` or `http2.createSecureServer()` does its own.
 *
 * The end is graceful: the server stops listening, idle connections are closed, requests in flight are
 * answered, and at the deadline the rest is aborted. `close()`, `await using`, and a cancelled
 * `serveForever()` (Ctrl-C in `run()`) do so.
 *
 * @param target see above. One call of `serve()` at a time may serve it
 * @param options `host`, `port` or `path`, and the other options of `loop.createServer()`; `deadline`,
 *   `onClosing`, `loop`. `signal` cancels the opening
 * @returns the server, once it listens
 * @throws At the call: TypeError, RangeError, LoopError `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`;
 *   {@link InvalidStateError} if the target listens by itself or is served already. As a rejection: the
 *   system's error (`EADDRINUSE`), and the error of Fastify's `ready()`
 *
 * **Cancellation** leaves no socket open.
 *
 * @example
 * ```ts
 * import { run, sleep } from 'gyre';
 * import { serve } from 'gyre/node';
 *
 * await run(async () => {
 *   const server = await serve(
 *     async (_request, response) => {
 *       await sleep(0.01);
 *       response.end('hello');
 *     },
 *     { host: '127.0.0.1', port: 0 },
 *   );
 *   const answer = await fetch(server.url);
 *   console.log(await answer.text()); // hello
 *   await server.close({ deadline: 5 });
 * });
 * ```
 */
export function serve(target: ServeTarget, options: ServeOptions = {}): Future<AppServer> {
  checkOptions('options', options, OPTIONS);
  const { deadline = DEFAULT_DEADLINE_SECONDS, onClosing, signal } = options;
  checkDeadline(deadline);
  if (onClosing !== undefined) checkFunction('options.onClosing', onClosing);
  checkSignal('options.signal', signal);
  const loop = loopFor(options.loop);
  const secure = isWanted(options.ssl);
  const served = targetOf(target, secure, () => app._end());
  if (signal?.aborted) return aborted(loop, signal);
  const app: AppServer = new AppServer(loop, served, deadline, onClosing ?? null);
  // Bind now, so that a wrong argument throws at the call. The server serves once the target is ready.
  const bound = bind(loop, () => app._protocol(), options);
  return cancelOnAbort(
    operation(loop, 'serve', () => app._open(bound, secure)),
    signal,
  );
}

function bind(loop: Loop, factory: () => Protocol, options: ServeOptions): Future<Server> {
  const {
    host = null,
    port = null,
    path,
    deadline: _,
    onClosing: _c,
    loop: _l,
    signal: _s,
    ...rest
  } = options;
  const opening = { ...rest, startServing: false };
  if (path === undefined) return listen(loop, factory, host, port, opening, makeServer);
  for (const [name, value] of Object.entries({ host, port })) {
    if (value !== null) throw invalidArgType(`options.${name}`, value, 'absent, because there is a path');
  }
  return createUnixServer(loop, factory, path, opening, makeServer);
}
