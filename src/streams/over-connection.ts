/**
 * Makes a reader and a writer for each connection: the shared part of the functions for TCP and for unix
 * sockets.
 */
import { DEFAULT_BACKLOG } from '../base/constants.ts';
import { checkFunction, checkSignal, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import { makeServer } from '../net/stream/open-server.ts';
import type { Server } from '../net/stream/server.ts';
import type { Transport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { checkLimit, StreamReader } from './reader.ts';
import type { ConnectionCallback } from './stream-protocol.ts';
import { StreamReaderProtocol } from './stream-protocol.ts';
import { StreamServer } from './stream-server.ts';
import { StreamWriter } from './writer.ts';

/** The option of the streams, beside those of the layer below. */
interface LimitOptions {
  limit?: number;
}

type Factory = () => StreamReaderProtocol;

/**
 * @param name the name of the operation
 * @param options `limit`, `signal`, and the options of `connect`
 * @param connect makes the connection, with its own options
 */
export function openStreams<O extends LimitOptions & SignalOptions>(
  name: string,
  options: O,
  connect: (
    loop: Loop,
    factory: Factory,
    options: Omit<Omit<O, 'limit'>, 'signal'> & SignalOptions,
  ) => Future<[Transport, StreamReaderProtocol]>,
): Future<[StreamReader, StreamWriter]> {
  const [limit, { signal, ...rest }] = splitLimit(options);
  checkSignal('options.signal', signal);
  const loop = runningLoop();
  const reader = new StreamReader({ ...limit, loop });
  const protocol = new StreamReaderProtocol(reader);
  // If the signal is aborted already, pass it on: `connect` then starts nothing. A later abort cancels
  // `opening`.
  const connecting = connect(loop, () => protocol, signal?.aborted ? { ...rest, signal } : rest);
  const opening = operation(loop, name, async (): Promise<[StreamReader, StreamWriter]> => {
    const [transport] = await connecting;
    return [reader, new StreamWriter(transport, protocol)];
  });
  return cancelOnAbort(opening, signal);
}

/**
 * @param callback gets the reader and the writer of each connection; null: the server is iterated over
 * @param options `limit`, and the options of `serve`
 * @param serve opens the server, with its own options
 */
export function serveStreams<O extends LimitOptions & { backlog?: number }>(
  callback: ConnectionCallback | null,
  options: O,
  serve: (
    loop: Loop,
    factory: Factory,
    options: Omit<O, 'limit'>,
    make: (...args: ConstructorParameters<typeof Server>) => Server,
  ) => Future<Server>,
): Future<Server> {
  if (callback !== null) checkFunction('callback', callback);
  const [limit, rest] = splitLimit(options);
  const loop = runningLoop();
  const reader = (): StreamReader => new StreamReader({ ...limit, loop });
  const factory = (): StreamReaderProtocol => new StreamReaderProtocol(reader(), callback);
  if (callback !== null) return serve(loop, factory, rest, makeServer);
  const { backlog = DEFAULT_BACKLOG } = options;
  return serve(loop, factory, rest, (...args) => new StreamServer(backlog, reader, ...args));
}

/** Takes `limit` out of the options. The layer below checks the names of the others. */
function splitLimit<O extends LimitOptions>(options: O): [LimitOptions, Omit<O, 'limit'>] {
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', options, 'an object');
  const { limit, ...rest } = options;
  checkLimit('options.limit', limit);
  return [limit === undefined ? {} : { limit }, rest];
}
