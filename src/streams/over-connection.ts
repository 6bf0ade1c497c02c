/**
 * Makes a reader and a writer for each connection: the shared part of the functions for TCP and for unix
 * sockets.
 */
import { checkFunction, checkSignal, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { Server } from '../net/stream/server.ts';
import type { Transport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { checkLimit, StreamReader } from './reader.ts';
import type { ConnectionCallback } from './stream-protocol.ts';
import { StreamReaderProtocol } from './stream-protocol.ts';
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
 * @param callback gets the reader and the writer of each connection
 * @param options `limit`, and the options of `serve`
 * @param serve opens the server, with its own options
 */
export function serveStreams<O extends LimitOptions>(
  callback: ConnectionCallback,
  options: O,
  serve: (loop: Loop, factory: Factory, options: Omit<O, 'limit'>) => Future<Server>,
): Future<Server> {
  checkFunction('callback', callback);
  const [limit, rest] = splitLimit(options);
  const loop = runningLoop();
  return serve(loop, () => new StreamReaderProtocol(new StreamReader({ ...limit, loop }), callback), rest);
}

/** Takes `limit` out of the options. The layer below checks the names of the others. */
function splitLimit<O extends LimitOptions>(options: O): [LimitOptions, Omit<O, 'limit'>] {
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', options, 'an object');
  const { limit, ...rest } = options;
  checkLimit('options.limit', limit);
  return [limit === undefined ? {} : { limit }, rest];
}
