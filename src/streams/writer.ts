/** The writing half of a stream. */
import { InvalidStateError } from '../base/errors.ts';
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
  /** The name that the certificate must have; `''` asks for none, which is a risk. A client has to say it. */
  serverHostname?: string;
  /** Seconds that the handshake may take. Default: 60. */
  sslHandshakeTimeout?: number;
  /** Seconds to wait for the peer's end of TLS before the connection is cut. Default: 30. */
  sslShutdownTimeout?: number;
}

const START_TLS_OPTIONS = ['serverHostname', 'sslHandshakeTimeout', 'sslShutdownTimeout', 'signal'];

/**
 * The writing half of a connection. Write, then `await writer.drain()`, and a slow peer slows the writer
 * down.
 *
 * - `openConnection()` and `startServer()` make it. Over a pipe it is made by hand: see {@link
 *   StreamReaderProtocol}.
 * - `write()` never waits. The writes of one turn leave in one system call.
 * - Any number of tasks may wait in `drain()`.
 * - Nothing closes it but `close()` (or `transport.abort()`): a server's callback that returns leaves the
 *   connection open.
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
   * @param transport what is written to
   * @param protocol that of the transport, which was told that the connection is made
   * @throws TypeError
   */
  constructor(transport: WriteTransport, protocol: StreamReaderProtocol) {
    if (typeof transport?.write !== 'function') {
      throw invalidArgType('transport', transport, 'a transport to write to');
    }
    if (protocol?.transport !== transport || typeof protocol._drain !== 'function') {
      throw invalidArgType('protocol', protocol, 'the StreamReaderProtocol of this transport');
    }
    // A pipe's transport has the rest, too, and refuses it.
    this.#transport = transport as Transport;
    this.#protocol = protocol;
  }

  /**
   * The transport below: its limits can be set, its reading paused, and it can be aborted. Another one after
   * `startTls()`.
   */
  get transport(): Transport {
    return this.#transport;
  }

  /**
   * Sends `data`; never waits. After the end of the connection it is dropped, with a warning at the fifth
   * time.
   *
   * @param data a string (UTF-8) or bytes, which must not be changed until `drain()` has returned with an
   *   empty write buffer
   * @throws TypeError; LoopError `ERR_TRANSPORT_CLOSED` after `writeEof()`; {@link InvalidStateError} during
   *   `startTls()`
   */
  write(data: string | Uint8Array): void {
    if (this.#upgrading) this.#refuse('write');
    this.#transport.write(data);
  }

  /** Sends every element of `list`, as {@link write} does. */
  writelines(list: Iterable<string | Uint8Array>): void {
    if (this.#upgrading) this.#refuse('writelines');
    this.#transport.writelines(list);
  }

  /**
   * Waits until there is room in the write buffer again. When there is room, it is done at once, except now
   * and then, so that a loop of `write()` and `drain()` cannot starve the others.
   *
   * @param options `signal` to cancel it
   * @throws the error that ended the connection; LoopError `ERR_TRANSPORT_CLOSED` when it was closed
   *
   * **Cancellation** ends the wait; what was written is still sent.
   */
  drain(options?: SignalOptions): Future<void> {
    if (options === undefined) return this.#protocol._drain();
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#protocol._loop, signal);
    return cancelOnAbort(this.#protocol._drain(), signal);
  }

  /** Says that nothing more will be written, once what is buffered has left. Reading goes on. */
  writeEof(): void {
    if (this.#upgrading) this.#refuse('writeEof');
    this.#transport.writeEof();
  }

  /** Whether {@link writeEof} works here: for TCP it does. */
  canWriteEof(): boolean {
    return this.#transport.canWriteEof();
  }

  /** Closes the connection, in both directions, once what is buffered has left. Idempotent. */
  close(): void {
    this.#transport.close();
  }

  /** Whether it is closing or closed. */
  isClosing(): boolean {
    return this.#transport.isClosing();
  }

  /**
   * Waits until the connection is closed. Any number may wait.
   *
   * @param options `signal` to cancel it
   * @throws the error that ended the connection
   *
   * **Cancellation** ends the wait and closes nothing.
   */
  waitClosed(options?: SignalOptions): Future<void> {
    return this.#protocol.waitClosed(options);
  }

  /**
   * Goes on encrypted: this writer and its reader stay, with a new transport below. First everything that was
   * written leaves. What the reader has received and nobody has read belongs to TLS.
   *
   * On the side that has accepted the connection (the callback of `startServer()`) this is TLS's server side.
   *
   * @param ssl as for `loop.startTls()`
   * @param options `serverHostname`, which a client has to give; `sslHandshakeTimeout` and
   *   `sslShutdownTimeout` in seconds; `signal` to cancel it
   * @throws TypeError, RangeError; LoopError `ERR_TRANSPORT_CLOSED`; {@link InvalidStateError} when it is
   *   under way already; as rejection what went wrong with the handshake (`ECONNRESET`,
   *   `ERR_TLS_CERT_ALTNAME_INVALID`), and TimeoutError: then the connection is aborted
   *
   * **Cancellation** before the handshake has begun leaves the connection as it was; then it aborts the
   * connection.
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
   * A fact about the connection, or `fallback` (default null): `peername`, `sockname`, `socket`, and of TLS
   * `cipher` and others.
   */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.#transport.getExtraInfo(name, fallback);
  }

  /** What is written while TLS begins would be neither here nor there: it would leave unencrypted. */
  #refuse(method: string): never {
    throw new InvalidStateError(`${method}(): startTls() is under way for this connection`);
  }

  /** Closes it and waits until it is closed: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.waitClosed();
  }
}
