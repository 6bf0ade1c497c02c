/** `trackHttpConnections`: lets an `http.Server` that does not listen track its connections. */
import { invalidArgType } from '../base/validate.ts';

/** The part of an `http.Server` or `https.Server` that is used. */
export interface HttpServerLike {
  readonly listening: boolean;
  emit(event: 'listening'): boolean;
  closeAllConnections(): void;
  closeIdleConnections(): void;
}

/**
 * Makes an `http.Server` that does not listen track its connections, as a listening one does. Without this,
 * `closeAllConnections()` and `closeIdleConnections()` do nothing on a server that gets its connections by
 * `emit('connection', duplex)`, and Node does not check `headersTimeout` and `requestTimeout`.
 *
 * Call it before the first connection. It emits `listening`, which makes Node start tracking.
 * `server.close()` ends it.
 *
 * @param server a server of `node:http` or `node:https`. A listening server is left as it is
 * @returns the server
 * @throws TypeError
 *
 * @example
 * ```ts
 * import { getRunningLoop, openConnection, run } from 'gyre';
 * import { toDuplex, trackHttpConnections } from 'gyre/node';
 * import { createServer } from 'node:http';
 *
 * const http = trackHttpConnections(createServer((_request, response) => response.end('hello')));
 *
 * await run(async () => {
 *   const server = await getRunningLoop().createServer(
 *     () => ({ connectionMade: (transport) => void http.emit('connection', toDuplex(transport)) }),
 *     '127.0.0.1',
 *     0,
 *   );
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *   const [reader, writer] = await openConnection('127.0.0.1', port);
 *   writer.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
 *   await reader.readuntil('hello');
 *
 *   server.close();
 *   http.closeIdleConnections();
 *   console.log((await reader.read()).length, reader.atEof()); // 0 true
 *   writer.close();
 *   await writer.waitClosed();
 *   await server.waitClosed();
 *   http.close();
 * });
 * ```
 */
export function trackHttpConnections<S extends HttpServerLike>(server: S): S {
  if (typeof server?.closeAllConnections !== 'function' || typeof server.emit !== 'function') {
    throw invalidArgType('server', server, 'a server of node:http');
  }
  if (!server.listening) server.emit('listening');
  return server;
}
