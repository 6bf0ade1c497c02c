/** `toDuplex` and `connectDuplex`: a Node `Duplex` over a gyre transport. */
import { checkFunction } from '../base/validate.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';
import { checkOpenTransport, loopFor } from './adapter.ts';
import type { DuplexOptions } from './duplex-options.ts';
import { checkDuplexOptions } from './duplex-options.ts';
import { TransportDuplex } from './transport-duplex.ts';

/**
 * Makes a Node `Duplex` over a transport, for libraries that need a socket: `node:http`, `pg`, `ioredis`,
 * `ws`.
 *
 * The duplex replaces the transport's protocol by `setProtocol()`. Data that the previous protocol has
 * received must be passed as `received`. An end of file that it has received is lost. So call this in
 * `connectionMade()`, before data can arrive, or pause reading there. For clients, see {@link connectDuplex}.
 *
 * - **Back-pressure** works in both directions. If no code reads the duplex, the transport is paused. A
 *   `write()` above the transport's high-water mark is not done before `resumeWriting()`.
 * - **Ends**: `end()` calls `writeEof()` after the written data, and `finish` comes once everything has left.
 *   Without half-close (TLS) it calls `close()`, and data that the peer sends afterwards is not read. `end`
 *   comes when the peer has closed its writing side. `destroy()` closes the connection: the data written in
 *   this turn is sent, and the part that the kernel does not take is dropped. `resetAndDestroy()` aborts the
 *   connection. `close(hadError)` comes when the connection is lost.
 * - **Errors** of the connection come as `error`, then `close`. A duplex that only reads gets them after the
 *   data that was received before.
 * - **Exceptions** of a listener go to the host (`uncaughtException`), as with Node's own sockets. Listeners
 *   run in the async context of the connection, as code of the loop.
 * - **Time**: `setTimeout()` uses the loop's clock, which may be virtual. A host timer that was set before
 *   it, with the same length, fires first, as with Node's own sockets.
 * - **While the loop does not run**, no event comes: no data, no `close`. `loop.close()` destroys the duplex.
 *
 * An `http.Server` that gets its connections as duplexes, and does not listen, also needs
 * `trackHttpConnections()`.
 *
 * @param transport a connected transport of any implementation. A transport of gyre must belong to `loop`
 * @param options `allowHalfOpen`, `received`, water marks in bytes, `loop`: default is the running loop
 * @returns a `Duplex` with the methods that clients and servers call on a `net.Socket`
 * @throws TypeError, RangeError; LoopError `ERR_TRANSPORT_CLOSED` if the transport is closing,
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
 * Makes a `Duplex` over a connection that is made later. Returns at once, as `net.connect()` does. Use it for
 * clients that take a function which creates their socket. See {@link toDuplex}.
 *
 * Data that is written meanwhile waits. The duplex emits `connect` when the connection is made, or `error`
 * and `close` if it fails. `destroy()` cancels the attempt.
 *
 * @param connect makes the connection with the given protocol factory: `(factory) =>
 *   loop.createConnection(factory, host, port)`
 * @param options as for {@link toDuplex}
 * @returns a `Duplex` that is connecting
 * @throws TypeError, RangeError; LoopError `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`; the error of `connect`
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
