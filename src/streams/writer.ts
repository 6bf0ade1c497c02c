/** The writing half of a stream. */

import { InvalidStateError } from '../base/errors.ts';
import { factsOf, showInOneLine } from '../base/one-line.ts';
import { checkOptions, checkSignal, invalidArgType } from '../base/validate.ts';
import { captureContext } from '../loop/context.ts';
import { checkUpgradable, upgrade, upgradeSide } from '../net/tls/start-tls.ts';
import type { ExtraInfo, Transport, WriteTransport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { aborted, signalOf } from '../tasks/settled.ts';
import type { StreamReaderProtocol } from './stream-protocol.ts';

/** The options of `StreamWriter.startTls`. */
export interface WriterStartTlsOptions extends SignalOptions {
  /**
   * The host name that the certificate must have. `''` accepts any name, which is a risk. A client must pass
   * it.
   */
  serverHostname?: string;
  /** Seconds until the handshake times out. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's close_notify before the connection is aborted. Default: 30. */
  sslShutdownTimeout?: number;
}

const START_TLS_OPTIONS = ['serverHostname', 'sslHandshakeTimeout', 'sslShutdownTimeout', 'signal'];

/**
 * The writing half of a connection. Call `write()`, then `await writer.drain()`, so that a slow peer slows
 * the writer down (back-pressure).
 *
 * - `openConnection()` and `startServer()` make writers. For a pipe, make one with {@link
 *   StreamReaderProtocol}.
 * - `write()` never waits. The writes of one turn leave in one system call.
 * - Several tasks may wait in `drain()` at the same time.
 * - The connection stays open until `close()` or `transport.abort()`, also after a server's callback has
 *   returned.
 *
 * @example
 * ```ts
 * import { openConnection, run, startServer } from 'gyre';
 *
 * await run(async () => {
 *   await using server = await startServer(
 *     async (reader, writer) => {
 *       for await (const line of reader.lines()) {
 *         writer.write(line);
 *         await writer.drain();
 *       }
 *       writer.close();
 *     },
 *     '127.0.0.1',
 *     0,
 *   );
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *   const [reader, writer] = await openConnection('127.0.0.1', port);
 *   writer.write('Hello World\n');
 *   console.log((await reader.readline()).toString().trim()); // Hello World
 *   writer.close();
 *   await writer.waitClosed();
 * });
 * ```
 */
export class StreamWriter implements AsyncDisposable {
  readonly #protocol: StreamReaderProtocol;
  #transport: Transport;
  #upgrading: boolean = false;

  /**
   * @param transport the transport to write to
   * @param protocol the protocol of `transport`, after its `connectionMade`
   * @throws TypeError
   */
  constructor(transport: WriteTransport, protocol: StreamReaderProtocol) {
    if (typeof transport?.write !== 'function') {
      throw invalidArgType('transport', transport, 'a transport to write to');
    }
    if (protocol?.transport !== transport || typeof protocol._drain !== 'function') {
      throw invalidArgType('protocol', protocol, 'the StreamReaderProtocol of this transport');
    }
    // The transport of a pipe has the methods for reading, too, and rejects them.
    this.#transport = transport as Transport;
    this.#protocol = protocol;
  }

  /** The transport below, for water marks, `pauseReading()` and `abort()`. `startTls()` replaces it. */
  get transport(): Transport {
    return this.#transport;
  }

  /** @internal */
  _facts(): string {
    return factsOf(this.#transport);
  }

  /**
   * Buffers `data` for sending; never waits. On a closed connection the data is dropped, and the fifth such
   * write emits a warning.
   *
   * @param data a string (UTF-8) or bytes. Do not change the bytes until `drain()` has returned with an empty
   *   write buffer
   * @throws TypeError; LoopError `ERR_TRANSPORT_CLOSED` after `writeEof()`; {@link InvalidStateError} during
   *   `startTls()`
   */
  write(data: string | Uint8Array): void {
    if (this.#upgrading) this.#refuse('write');
    this.#transport.write(data);
  }

  /** Buffers each element of `list` for sending, as {@link write} does. */
  writelines(list: Iterable<string | Uint8Array>): void {
    if (this.#upgrading) this.#refuse('writelines');
    this.#transport.writelines(list);
  }

  /**
   * Waits until the write buffer is no longer paused: until it has shrunk to its low-water mark. If it is not
   * paused, the call usually completes at once. Every 256th such call waits for a turn, so that a loop of
   * `write()` and `drain()` does not starve other tasks.
   *
   * @param options `signal` cancels the wait
   * @throws the error that ended the connection; LoopError `ERR_TRANSPORT_CLOSED` if it was closed
   *
   * **Cancellation** ends the wait. The written data is still sent.
   */
  drain(options?: SignalOptions): Future<void> {
    if (options === undefined) return this.#protocol._drain();
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#protocol._loop, signal);
    return cancelOnAbort(this.#protocol._drain(), signal);
  }

  /** Closes the writing side after the buffered data is written (half-close). Reading goes on. */
  writeEof(): void {
    if (this.#upgrading) this.#refuse('writeEof');
    this.#transport.writeEof();
  }

  /** Returns whether {@link writeEof} works. It does for TCP. */
  canWriteEof(): boolean {
    return this.#transport.canWriteEof();
  }

  /** Closes the connection in both directions, after the buffered data is written. Idempotent. */
  close(): void {
    this.#transport.close();
  }

  /** Returns whether the connection is closing or closed. */
  isClosing(): boolean {
    return this.#transport.isClosing();
  }

  /**
   * Waits until the connection is closed. Several tasks may wait at the same time.
   *
   * @param options `signal` cancels the wait
   * @throws the error that ended the connection
   *
   * **Cancellation** ends the wait, and closes nothing.
   */
  waitClosed(options?: SignalOptions): Future<void> {
    return this.#protocol.waitClosed(options);
  }

  /**
   * Upgrades the connection to TLS. This writer and its reader stay, with a new transport below. The buffered
   * data is sent first, unencrypted. Data that the reader has received and not delivered is treated as TLS
   * data.
   *
   * On an accepted connection (in the callback of `startServer()`) this is the server side of TLS.
   *
   * @param ssl as for `loop.startTls()`
   * @param options `serverHostname`, which a client must pass; `sslHandshakeTimeout` and `sslShutdownTimeout`
   *   in seconds; `signal` cancels the upgrade
   * @throws TypeError, RangeError; LoopError `ERR_TRANSPORT_CLOSED`; {@link InvalidStateError} if an upgrade
   *   is under way. The returned future rejects with the error of the handshake (`ECONNRESET`,
   *   `ERR_TLS_CERT_ALTNAME_INVALID`) or a TimeoutError; the connection is then aborted
   *
   * **Cancellation** before the handshake leaves the connection as it was. Later it aborts the connection.
   *
   * @example
   * ```ts
   * import { openConnection } from 'gyre';
   *
   * async function secureMail(host: string): Promise<void> {
   *   const [reader, writer] = await openConnection(host, 587);
   *   await reader.readline();
   *   writer.write('STARTTLS\r\n');
   *   await reader.readline();
   *   await writer.startTls(true, { serverHostname: host });
   *   console.log(writer.getExtraInfo('cipher')?.version); // TLSv1.3
   *   writer.close();
   *   await writer.waitClosed();
   * }
   * console.log(typeof secureMail); // function
   * ```
   */
  startTls(ssl: unknown, options: WriterStartTlsOptions = {}): Future<void> {
    checkOptions('options', options, START_TLS_OPTIONS);
    checkSignal('options.signal', options.signal);
    if (this.#upgrading) this.#refuse('startTls');
    const protocol = this.#protocol;
    const loop = protocol._loop;
    const lower = this.#transport;
    checkUpgradable(loop, lower);
    const side = upgradeSide(loop, ssl, protocol._serverSide, options);
    if (options.signal?.aborted) return aborted(loop, options.signal);
    const context = captureContext(loop);
    this.#upgrading = true;
    const upgrading = operation(loop, 'startTls', async () => {
      try {
        await protocol._drain();
        this.#transport = await upgrade(loop, lower, protocol, context, side, protocol._letGo());
        protocol._goOn(this.#transport);
      } finally {
        this.#upgrading = false;
      }
    });
    return cancelOnAbort(upgrading, options.signal);
  }

  /**
   * Returns a fact about the connection, or `fallback` (default: null): `peername`, `sockname`, `socket`, and
   * with TLS `cipher` and others.
   */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.#transport.getExtraInfo(name, fallback);
  }

  /** Rejects a write during the upgrade: the data would leave unencrypted. */
  #refuse(method: string): never {
    throw new InvalidStateError(`${method}(): startTls() is under way for this connection`);
  }

  /** Closes the connection, and waits until it is closed: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.waitClosed();
  }
}

showInOneLine(StreamWriter);
