/** `openUnixConnection` and `startUnixServer`. */
import type { Server } from '../net/stream/server.ts';
import type { UnixConnectionOptions, UnixServerOptions } from '../net/stream/unix.ts';
import { createUnixConnection, createUnixServer } from '../net/stream/unix.ts';
import type { Future } from '../tasks/future.ts';
import { openStreams, serveStreams } from './over-connection.ts';
import type { StreamReader } from './reader.ts';
import type { ConnectionCallback } from './stream-protocol.ts';
import type { StreamServer } from './stream-server.ts';
import type { StreamWriter } from './writer.ts';

/** The options of `loop.createUnixConnection`, and `limit`. */
export interface OpenUnixConnectionOptions extends UnixConnectionOptions {
  /** Bytes: the longest line or record, as for `StreamReader`. Default: 64 KiB. */
  limit?: number;
}

/** The options of `loop.createUnixServer`, and `limit`. */
export interface StartUnixServerOptions extends UnixServerOptions {
  /** Bytes: the longest line or record, as for `StreamReader`. Default: 64 KiB. */
  limit?: number;
}

/**
 * Connects to the unix socket at `path`. Returns a reader and a writer.
 *
 * @param path the path of the socket file; null together with `sock`
 * @param options those of `loop.createUnixConnection`, `limit` in bytes, `signal`
 * @throws the system's error (`ENOENT`, `ECONNREFUSED`, `EACCES`); TypeError, RangeError; LoopError
 *   `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** ends the attempt, and leaves no connection open.
 *
 * **Backends** Windows has no unix sockets: `ERR_UNSUPPORTED`.
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { openUnixConnection, run, startUnixServer } from 'gyre';
 *
 * const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
 * const path = join(directory, 'socket');
 *
 * await run(async () => {
 *   const server = await startUnixServer(async (reader, writer) => {
 *     const name = await reader.readline();
 *     writer.write(`Hello ${name}`);
 *     writer.close();
 *   }, path);
 *
 *   const [reader, writer] = await openUnixConnection(path);
 *   writer.write('World\n');
 *   console.log((await reader.readline()).toString().trim()); // Hello World
 *   writer.close();
 *   await writer.waitClosed();
 *   server.close();
 *   await server.waitClosed();
 * });
 * await rm(directory, { recursive: true });
 * ```
 */
export function openUnixConnection(
  path: string | null = null,
  options: OpenUnixConnectionOptions = {},
): Future<[StreamReader, StreamWriter]> {
  return openStreams('openUnixConnection', options, (loop, factory, rest) =>
    createUnixConnection(loop, factory, path, rest),
  );
}

/**
 * Starts a server on the unix socket at `path`. It runs `callback(reader, writer)` as a task for each
 * connection, as `startServer` does.
 *
 * The server replaces a stale socket file, and removes its own file when it closes.
 *
 * @param callback an async or a plain function; null: the server is iterated over, see {@link StreamServer}
 * @param path the path of the new socket file; null together with `sock`
 * @param options those of `loop.createUnixServer`, `limit` in bytes, `signal`
 * @throws the system's error (`EADDRINUSE`, `EACCES`); TypeError, RangeError; LoopError `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** leaves no socket listening, and no file.
 *
 * **Backends** Windows has no unix sockets: `ERR_UNSUPPORTED`.
 *
 * @example
 * ```ts
 * import { mkdtemp, readdir, rm } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { run, startUnixServer } from 'gyre';
 *
 * const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
 *
 * await run(async () => {
 *   const server = await startUnixServer(
 *     async (reader, writer) => {
 *       for await (const chunk of reader) {
 *         writer.write(chunk);
 *         await writer.drain();
 *       }
 *       writer.close();
 *     },
 *     join(directory, 'socket'),
 *   );
 *   console.log(await readdir(directory)); // [ 'socket' ]
 *   server.close();
 *   await server.waitClosed();
 *   console.log(await readdir(directory)); // []
 * });
 * await rm(directory, { recursive: true });
 * ```
 */
export function startUnixServer(
  callback: null,
  path?: string | null,
  options?: StartUnixServerOptions,
): Future<StreamServer>;
export function startUnixServer(
  callback: ConnectionCallback,
  path?: string | null,
  options?: StartUnixServerOptions,
): Future<Server>;
export function startUnixServer(
  callback: ConnectionCallback | null,
  path: string | null = null,
  options: StartUnixServerOptions = {},
): Future<Server> {
  return serveStreams(callback, options, (loop, factory, rest, make) =>
    createUnixServer(loop, factory, path, rest, make),
  );
}
