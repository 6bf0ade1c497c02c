/** A server of streams without a callback: the program takes the connections by iteration. */
import { InvalidStateError } from '../base/errors.ts';
import type { ArrivalsOwner } from '../net/arrivals.ts';
import { Arrivals } from '../net/arrivals.ts';
import { Server } from '../net/stream/server.ts';
import type { Transport } from '../net/transport.ts';
import type { StreamReader } from './reader.ts';
import { StreamReaderProtocol } from './stream-protocol.ts';
import { StreamWriter } from './writer.ts';

/** A connection, as `openConnection()` returns it. */
export type StreamConnection = [reader: StreamReader, writer: StreamWriter];

/**
 * A server whose connections are taken by iteration: `for await (const [reader, writer] of server)`. It comes
 * from `startServer(null, …)` and `startUnixServer(null, …)`.
 *
 * - **Back-pressure** About `backlog` accepted connections wait to be taken; with TLS, their handshakes are
 *   done. Then the server stops accepting, and further clients wait in the kernel, as for a busy server.
 * - **The end** Leaving the iteration by `break`, `return`, an exception or a cancel closes the server.
 *   Closing the server ends the iteration. Connections that were taken stay open, and the others are
 *   aborted.
 * - One iteration at a time: a second one throws {@link InvalidStateError}. On a closed server the iteration
 *   is empty.
 *
 * **Backends** Node cannot stop accepting: the portable backend resets further clients.
 *
 * @example
 * ```ts
 * import { getRunningLoop, openConnection, run, startServer } from 'gyre';
 *
 * await run(async () => {
 *   const server = await startServer(null, '127.0.0.1', 0);
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *   const client = getRunningLoop().createTask(async () => {
 *     const [reader, writer] = await openConnection('127.0.0.1', port);
 *     console.log(String(await reader.read())); // Hello
 *     writer.close();
 *   });
 *   for await (const [, writer] of server) {
 *     writer.write('Hello');
 *     writer.close();
 *     break;
 *   }
 *   await client;
 *   await server.waitClosed();
 * });
 * ```
 */
export class StreamServer
  extends Server
  implements AsyncIterable<StreamConnection>, ArrivalsOwner<StreamConnection>
{
  readonly #arrivals: Arrivals<StreamConnection>;
  readonly #mostWaiting: number;
  #isIterated: boolean = false;
  #isClosed: boolean = false;

  /** Use `startServer()`. @internal */
  constructor(
    mostWaiting: number,
    readers: () => StreamReader,
    ...args: ConstructorParameters<typeof Server>
  ) {
    const [loop, , ...rest] = args;
    super(loop, () => new WaitingProtocol(readers(), this), ...rest);
    this.#arrivals = new Arrivals(this);
    this.#mostWaiting = mostWaiting;
  }

  /** @throws InvalidStateError if another iteration is under way */
  [Symbol.asyncIterator](): AsyncIterableIterator<StreamConnection> {
    if (this.#isIterated && !this.#isClosed) {
      throw new InvalidStateError(
        'this server is being iterated over already: let one loop take the connections, and pass them on',
      );
    }
    this.#isIterated = true;
    return this.#arrivals;
  }

  /** @internal */
  _arrived(connection: StreamConnection): void {
    this.#arrivals.push(connection);
    if (this.#arrivals.length >= this.#mostWaiting) this._setAccepting(false);
  }

  /** @internal */
  _taken(): void {
    if (!this.#isClosed && this.#arrivals.length < this.#mostWaiting) this._setAccepting(true);
  }

  /** @internal */
  _left(): void {
    this.close();
  }

  /** @internal */
  override _closed(): void {
    this.#isClosed = true;
    const left = this.#arrivals.end();
    // A loop that is being closed ends its transports itself, and names them.
    if (this.getLoop().isClosed()) return;
    for (const [, writer] of left) writer.transport.abort();
  }
}

/** The protocol of a connection that waits to be taken. */
class WaitingProtocol extends StreamReaderProtocol {
  readonly #server: StreamServer;

  constructor(reader: StreamReader, server: StreamServer) {
    super(reader);
    this.#server = server;
  }

  override connectionMade(transport: Transport): void {
    super.connectionMade(transport);
    this.#server._arrived([this.reader, new StreamWriter(transport, this)]);
  }

  override get _serverSide(): boolean {
    return true;
  }
}
