/** `openUnixConnection` and `startUnixServer`. */
import { checkFunction, checkSignal } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Server } from '../net/server.ts';
import type { UnixConnectionOptions, UnixServerOptions } from '../net/unix.ts';
import { createUnixConnection, createUnixServer } from '../net/unix.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/task.ts';
import { splitLimit } from './open.ts';
import { StreamReader } from './reader.ts';
import type { ConnectionCallback } from './stream-protocol.ts';
import { StreamReaderProtocol } from './stream-protocol.ts';
import { StreamWriter } from './writer.ts';

/** The options of `loop.createUnixConnection`, and `limit`. */
export interface OpenUnixConnectionOptions extends UnixConnectionOptions {
  /** Bytes: the longest line or record the reader takes, and half of what it buffers. Default: 64 KiB. */
  limit?: number;
}

/** The options of `loop.createUnixServer`, and `limit`. */
export interface StartUnixServerOptions extends UnixServerOptions {
  /** Bytes: the longest line or record a reader takes, and half of what it buffers. Default: 64 KiB. */
  limit?: number;
}

/**
 * Connects to the unix socket at `path`, and answers a reader and a writer.
 *
 * @param path of a socket file; null together with `sock`
 * @param options those of `loop.createUnixConnection`, `limit` in bytes, `signal`
 * @throws the system's error (`ENOENT`, `ECONNREFUSED`, `EACCES`); TypeError, RangeError; LoopError `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** gives the attempt up: no connection stays open.
 *
 * **Backends** the simulated loop has no unix sockets, and Windows has none: `ERR_UNSUPPORTED`.
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
  const [limit, { signal, ...rest }] = splitLimit(options);
  checkSignal('options.signal', signal);
  const loop = runningLoop();
  const reader = new StreamReader({ ...limit, loop });
  const protocol = new StreamReaderProtocol(loop, reader, null);
  // An aborted signal starts nothing: the layer below sees to that. One that is aborted later cancels the whole.
  const connecting = createUnixConnection(
    loop,
    () => protocol,
    path,
    signal?.aborted ? { ...rest, signal } : rest,
  );
  const opening = operation(loop, 'openUnixConnection', async (): Promise<[StreamReader, StreamWriter]> => {
    const [transport] = await connecting;
    return [reader, new StreamWriter(transport, protocol)];
  });
  return cancelOnAbort(opening, signal);
}

/**
 * Serves the unix socket at `path`: `callback(reader, writer)` runs as a task of its own for each connection, as by `startServer`.
 *
 * The file of a server that is gone is replaced; the file of this one is removed when it closes.
 *
 * @param callback an async function, or a plain one
 * @param path where the socket file is made; null together with `sock`
 * @param options those of `loop.createUnixServer`, `limit` in bytes, `signal`
 * @throws the system's error (`EADDRINUSE`, `EACCES`); TypeError, RangeError; LoopError `ERR_NO_RUNNING_LOOP`
 *
 * **Cancellation** leaves nothing listening, and no file.
 *
 * **Backends** the simulated loop has no unix sockets, and Windows has none: `ERR_UNSUPPORTED`.
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
  callback: ConnectionCallback,
  path: string | null = null,
  options: StartUnixServerOptions = {},
): Future<Server> {
  checkFunction('callback', callback);
  const [limit, rest] = splitLimit(options);
  const loop = runningLoop();
  const factory = (): StreamReaderProtocol =>
    new StreamReaderProtocol(loop, new StreamReader({ ...limit, loop }), callback);
  return createUnixServer(loop, factory, path, rest);
}
