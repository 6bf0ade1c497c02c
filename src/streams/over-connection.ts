/**
 * A reader and a writer over whatever connects or serves: what the functions for TCP and for unix sockets
 * share.
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

/** What the streams need, beside what the layer below knows. */
interface LimitOptions {
  limit?: number;
}

type Factory = () => StreamReaderProtocol;

/**
 * @param name of the operation
 * @param options `limit`, `signal`, and those of `connect`
 * @param connect makes the connection, with the protocol and the options that are its own
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
  // An aborted signal starts nothing: `connect` sees to that. One that is aborted later cancels the whole.
  const connecting = connect(loop, () => protocol, signal?.aborted ? { ...rest, signal } : rest);
  const opening = operation(loop, name, async (): Promise<[StreamReader, StreamWriter]> => {
    const [transport] = await connecting;
    return [reader, new StreamWriter(transport, protocol)];
  });
  return cancelOnAbort(opening, signal);
}

/**
 * @param callback is called with the reader and the writer of each connection
 * @param options `limit`, and those of `serve`
 * @param serve listens, with the protocols and the options that are its own
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

/** The rest is for the layer below: it refuses options that it does not know. */
function splitLimit<O extends LimitOptions>(options: O): [LimitOptions, Omit<O, 'limit'>] {
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', options, 'an object');
  const { limit, ...rest } = options;
  checkLimit('options.limit', limit);
  return [limit === undefined ? {} : { limit }, rest];
}
