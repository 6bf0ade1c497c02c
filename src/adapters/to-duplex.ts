/** `toDuplex` and `connectDuplex`: a Node `Duplex` over a gyre transport. */
import { checkFunction } from '../base/validate.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';
import { checkOpenTransport, loopFor } from './adapter.ts';
import type { DuplexOptions } from './duplex-options.ts';
import { checkDuplexOptions } from './duplex-options.ts';
import { TransportDuplex } from './transport-duplex.ts';

/**
 * Makes a Node `Duplex` of a transport, so that whatever wants a socket runs over it: `node:http`, `pg`,
 * `ioredis`, `ws`.
 *
 * The duplex takes the transport over by `setProtocol()`. What the protocol before has received already is
 * its own to hand over, by `received`; if that was the end of the peer, nobody will hear of it again. So call
 * this in `connectionMade()`, before anything can come, or let that pause reading. For clients, see {@link
 * connectDuplex}.
 *
 * - **Back-pressure** in both directions: what is not read pauses the transport, and a `write()` above the
 *   transport's high-water mark is not done before `resumeWriting()`.
 * - **Ends**: `end()` is `writeEof()` behind what was written, and `finish` comes once that has left. Where
 *   there is no half-close (TLS) it is `close()`: what the peer sends from then on is not read. `end` is the
 *   peer's end, and comes only with it. `destroy()` closes: what was written in this turn leaves, what the
 *   host does not take is dropped. `resetAndDestroy()` aborts. `close(hadError)` comes when the connection is
 *   gone.
 * - **Errors** of the connection come as `error`, then `close`; to one who only reads, after the data that
 *   came before.
 * - **What a listener throws** is the host's, as with a socket of Node's own: `uncaughtException`. Listeners
 *   run in the async context of the connection, as code of the loop.
 * - **Time**: `setTimeout()` goes by the loop's clock, also where that is virtual. A timer of the host that
 *   was set before, with the same length, comes first, as with a socket of Node's.
 * - **A loop that does not run** moves nothing: no data, no `close`. One that is closed destroys the duplex.
 *
 * An `http.Server` that is fed with duplexes, and does not listen itself, wants `trackHttpConnections()`,
 * too.
 *
 * @param transport of any make, connected; one of gyre's has to be of that loop
 * @param options `allowHalfOpen`, `received`, water marks in bytes, `loop`: default is the running loop
 * @returns a `Duplex` with what clients and servers call on a `net.Socket`
 * @throws TypeError, RangeError; LoopError `ERR_TRANSPORT_CLOSED` for one that is closing,
 *   `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`
 *
 * @example
 * ```ts
 * import type { Transport } from 'gyre';
 * import { getRunningLoop, openConnection, Protocol, run } from 'gyre';
 * import { toDuplex } from 'gyre/node';
 * import { createServer } from 'node:http';
 *
 * const http = createServer((_request, response) => response.end('hello'));
 *
 * class Http extends Protocol {
 *   override connectionMade(transport: Transport): void {
 *     http.emit('connection', toDuplex(transport, { allowHalfOpen: true }));
 *   }
 * }
 *
 * await run(async () => {
 *   const server = await getRunningLoop().createServer(() => new Http(), '127.0.0.1', 0);
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *   const [reader, writer] = await openConnection('127.0.0.1', port);
 *   writer.write('GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n');
 *   console.log((await reader.read()).toString().endsWith('hello')); // true
 *   writer.close();
 *   await writer.waitClosed();
 *   server.close();
 *   await server.waitClosed();
 * });
 * ```
 */
export function toDuplex(transport: Transport, options: DuplexOptions = {}): TransportDuplex {
  checkDuplexOptions(options);
  const loop = loopFor(options.loop);
  checkOpenTransport(loop, transport);
  const duplex = new TransportDuplex(loop, options);
  duplex._join(transport);
  return duplex;
}

/**
 * As {@link toDuplex}, over a connection that is yet to be made: answers at once, as `net.connect()` does.
 * For clients that take a function that makes their socket.
 *
 * What is written meanwhile waits. `connect` is emitted when the connection is there; if it fails, `error`
 * and `close`. `destroy()` meanwhile cancels the attempt.
 *
 * @param connect makes the connection, with the protocol that it is given: `(factory) =>
 *   loop.createConnection(factory, host, port)`
 * @param options as of {@link toDuplex}
 * @returns a `Duplex` that is connecting
 * @throws TypeError, RangeError; LoopError `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`; what `connect` throws
 *
 * @example
 * ```ts
 * import { getRunningLoop, run } from 'gyre';
 * import { connectDuplex, toDuplex } from 'gyre/node';
 * import type { IncomingMessage } from 'node:http';
 * import { Agent, createServer, get } from 'node:http';
 *
 * const http = createServer((_request, response) => response.end('hello'));
 *
 * await run(async () => {
 *   const loop = getRunningLoop();
 *   const server = await loop.createServer(
 *     () => ({ connectionMade: (transport) => void http.emit('connection', toDuplex(transport)) }),
 *     '127.0.0.1',
 *     0,
 *   );
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *
 *   class GyreAgent extends Agent {
 *     override createConnection = () =>
 *       connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', port));
 *   }
 *   const agent = new GyreAgent({ keepAlive: false });
 *   const response = await new Promise<IncomingMessage>((resolve) => get('http://here/', { agent }, resolve));
 *   for await (const data of response) console.log(String(data)); // hello
 *   server.close();
 *   await server.waitClosed();
 * });
 * ```
 */
export function connectDuplex(
  connect: (protocolFactory: () => Protocol) => PromiseLike<unknown>,
  options: Omit<DuplexOptions, 'received'> = {},
): TransportDuplex {
  checkFunction('connect', connect);
  checkDuplexOptions(options);
  const duplex = new TransportDuplex(loopFor(options.loop), options);
  duplex._connect(connect);
  return duplex;
}
