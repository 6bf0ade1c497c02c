/** The writing half of a stream. */
import type { ExtraInfo, Transport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, signalOf } from '../tasks/settled.ts';
import type { StreamReaderProtocol } from './stream-protocol.ts';

/**
 * The writing half of a connection. Write, then `await writer.drain()`, and a slow peer slows the writer down.
 *
 * - `openConnection()` and `startServer()` make it.
 * - `write()` never waits. The writes of one turn leave in one system call.
 * - Any number of tasks may wait in `drain()`.
 * - Nothing closes it but `close()` (or `transport.abort()`): a server's callback that returns leaves the connection open.
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
  /** The transport below: its limits can be set, its reading paused, and it can be aborted. */
  readonly transport: Transport;
  readonly #protocol: StreamReaderProtocol;

  /** Use `openConnection()` or `startServer()`. @internal */
  constructor(transport: Transport, protocol: StreamReaderProtocol) {
    this.transport = transport;
    this.#protocol = protocol;
  }

  /**
   * Sends `data`; never waits. After the end of the connection it is dropped, with a warning at the fifth time.
   *
   * @param data a string (UTF-8) or bytes, which must not be changed until `drain()` has returned with an empty write buffer
   * @throws TypeError; LoopError `ERR_TRANSPORT_CLOSED` after `writeEof()`
   */
  write(data: string | Uint8Array): void {
    this.transport.write(data);
  }

  /** Sends every element of `list`, as {@link write} does. */
  writelines(list: Iterable<string | Uint8Array>): void {
    this.transport.writelines(list);
  }

  /**
   * Waits until there is room in the write buffer again. When there is room, it is done at once, except now and then, so that a
   * loop of `write()` and `drain()` cannot starve the others.
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
    this.transport.writeEof();
  }

  /** Whether {@link writeEof} works here: for TCP it does. */
  canWriteEof(): boolean {
    return this.transport.canWriteEof();
  }

  /** Closes the connection, in both directions, once what is buffered has left. Idempotent. */
  close(): void {
    this.transport.close();
  }

  /** Whether it is closing or closed. */
  isClosing(): boolean {
    return this.transport.isClosing();
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
    if (options === undefined) return this.#protocol._waitClosed();
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this.#protocol._loop, signal);
    return cancelOnAbort(this.#protocol._waitClosed(), signal);
  }

  /** A fact about the connection, or `fallback` (default null): `peername`, `sockname`, `socket`. */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.transport.getExtraInfo(name, fallback);
  }

  /** Closes it and waits until it is closed: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.waitClosed();
  }
}
