/** `openConnection` and `startServer`. */
import type { ConnectionOptions } from '../net/stream/connect.ts';
import { connect } from '../net/stream/connect.ts';
import type { ServerOptions } from '../net/stream/listen.ts';
import { listen } from '../net/stream/listen.ts';
import type { Server } from '../net/stream/server.ts';
import type { Future } from '../tasks/future.ts';
import { openStreams, serveStreams } from './over-connection.ts';
import type { StreamReader } from './reader.ts';
import type { ConnectionCallback } from './stream-protocol.ts';
import type { StreamServer } from './stream-server.ts';
import type { StreamWriter } from './writer.ts';

/** The options of `loop.createConnection`, and `limit`. */
export interface OpenConnectionOptions extends ConnectionOptions {
  /** Bytes: the longest line or record, as for `StreamReader`. Default: 64 KiB. */
  limit?: number;
}

/** The options of `loop.createServer`, and `limit`. */
export interface StartServerOptions extends ServerOptions {
  /** Bytes: the longest line or record, as for `StreamReader`. Default: 64 KiB. */
  limit?: number;
}

/**
 * Connects to `host` and `port` by TCP, with TLS if `options.ssl` is given. Returns a reader and a writer.
 *
 * @param host a name or an address; null together with `sock`
 * @param port a number, its digits, or the name of a service (`'https'`); null together with `sock`
 * @param options those of `loop.createConnection`, `limit` in bytes, `signal`
 * @throws the system's error (`ECONNREFUSED`, `ENOTFOUND`); an `AggregateError` if several addresses failed
 *   in different ways; an error of TLS (`CERT_HAS_EXPIRED`); TypeError, RangeError; LoopError
 *   `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** ends the attempt, and leaves no connection open.
 *
 * @example
 * ```ts
 * import { openConnection, run, startServer } from 'gyre';
 *
 * await run(async () => {
 *   const server = await startServer(
 *     async (reader, writer) => {
 *       const name = await reader.readline();
 *       writer.write(`Hello ${name}`);
 *       writer.close();
 *     },
 *     '127.0.0.1',
 *     0,
 *   );
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *
 *   const [reader, writer] = await openConnection('127.0.0.1', port);
 *   writer.write('World\n');
 *   await writer.drain();
 *   console.log((await reader.readline()).toString().trim()); // Hello World
 *   writer.close();
 *   await writer.waitClosed();
 *   server.close();
 *   await server.waitClosed();
 * });
 * ```
 */
export function openConnection(
  host: string | null = null,
  port: number | string | null = null,
  options: OpenConnectionOptions = {},
): Future<[StreamReader, StreamWriter]> {
  return openStreams('openConnection', options, (loop, factory, rest) =>
    connect(loop, factory, host, port, rest),
  );
}

/**
 * Starts a TCP server, with TLS if `options.ssl` is given. It runs `callback(reader, writer)` as a task for
 * each connection.
 *
 * As in asyncio, the connection stays open when the callback returns: close the writer. If the callback
 * throws, the loop reports the exception to its exception handler, and the connection is aborted. If the task
 * is cancelled, the connection is closed.
 *
 * Without a callback the program takes the connections by iteration, as fast as it can: see
 * {@link StreamServer}.
 *
 * @param callback an async or a plain function; null: the server is iterated over
 * @param host an address or a name, or an array of them; null or `''` for all interfaces
 * @param port a number, its digits, or the name of a service; 0 for a free port, see `server.sockets`; null
 *   together with `sock`
 * @param options those of `loop.createServer`, `limit` in bytes, `signal`
 * @throws the system's error (`EADDRINUSE`); TypeError, RangeError; LoopError `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** leaves no socket listening.
 *
 * @example
 * ```ts
 * import { run, startServer } from 'gyre';
 *
 * await run(async () => {
 *   const server = await startServer(
 *     async (reader, writer) => {
 *       for await (const chunk of reader) {
 *         writer.write(chunk);
 *         await writer.drain();
 *       }
 *       writer.close();
 *     },
 *     '127.0.0.1',
 *     0,
 *   );
 *   console.log(server.isServing()); // true
 *   server.close();
 *   await server.waitClosed();
 * });
 * ```
 */
export function startServer(
  callback: null,
  host?: string | readonly string[] | null,
  port?: number | string | null,
  options?: StartServerOptions,
): Future<StreamServer>;
export function startServer(
  callback: ConnectionCallback,
  host?: string | readonly string[] | null,
  port?: number | string | null,
  options?: StartServerOptions,
): Future<Server>;
export function startServer(
  callback: ConnectionCallback | null,
  host: string | readonly string[] | null = null,
  port: number | string | null = null,
  options: StartServerOptions = {},
): Future<Server> {
  return serveStreams(callback, options, (loop, factory, rest, make) =>
    listen(loop, factory, host, port, rest, make),
  );
}
