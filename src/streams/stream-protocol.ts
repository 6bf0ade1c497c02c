/**
 * The protocol between a transport and a stream. It feeds received data to the reader. `drain()` waits here
 * while the transport is paused. Reader and writer learn of the end of the connection here. The transport
 * holds the protocol, and the protocol holds reader and writer, so the garbage collector takes none of them
 * while the connection lives.
 */

import { formatAddress } from '../base/address.ts';
import { LoopError } from '../base/errors.ts';
import { factsOf, showInOneLine } from '../base/one-line.ts';
import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { Runnable } from '../loop/handle.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, done, failed, signalOf } from '../tasks/settled.ts';
import type { Task, TaskMaker, TaskNamer } from '../tasks/task.ts';
import { Waiter } from '../tasks/waiter.ts';
import { StreamReader } from './reader.ts';
import { StreamWriter } from './writer.ts';

/** The callback of `startServer`, which runs as a task for each connection. */
export type ConnectionCallback = (reader: StreamReader, writer: StreamWriter) => PromiseLike<void> | void;

/**
 * The number of `drain()` calls that may complete at once, one after the other. The next one costs a turn.
 * The kernel may take all data for a fast peer, and a loop of `write()` and `drain()` would then never let
 * the host poll. Received data starts the count anew.
 */
const DRAINS_BEFORE_TURN = 256;

/**
 * The protocol between a transport and a {@link StreamReader}. Use it for streams over a transport that
 * `openConnection()` and `startServer()` do not make: a pipe, standard input or standard output. A {@link
 * StreamWriter} over such a transport needs it as well.
 *
 * - Received data is fed to the reader, which pauses the transport when the reader is full.
 * - When the peer closes its writing side, the reader ends. The transport stays open for writing.
 * - With a callback it is a server's protocol: `callback(reader, writer)` runs as a task for the connection,
 *   as with `startServer()`.
 *
 * A protocol serves one connection. To read standard input by lines: `await loop.connectReadPipe(() => new
 * StreamReaderProtocol(reader), 0)`.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run, StreamReader, StreamReaderProtocol, StreamWriter } from 'gyre';
 * import { spawn } from 'node:child_process';
 *
 * await run(async () => {
 *   const loop = getRunningLoop();
 *   const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
 *
 *   const reader = new StreamReader();
 *   const [, input] = await loop.connectReadPipe(() => new StreamReaderProtocol(reader), child.stdout);
 *   const [transport, protocol] = await loop.connectWritePipe(
 *     () => new StreamReaderProtocol(new StreamReader()),
 *     child.stdin,
 *   );
 *   const writer = new StreamWriter(transport, protocol);
 *
 *   writer.write('through a pipe and back\n');
 *   await writer.drain();
 *   writer.close();
 *   for await (const line of reader.lines()) console.log(line.toString().trim()); // through a pipe and back
 *   await Promise.all([input.waitClosed(), writer.waitClosed()]);
 * });
 * ```
 */
export class StreamReaderProtocol implements Protocol, TaskNamer, Runnable {
  /** The reader that gets the received data. */
  readonly reader: StreamReader;
  /** The transport; null before the connection is made. */
  transport: Transport | null = null;
  readonly #callback: ConnectionCallback | null;
  /** The task of the callback. */
  #task: Task<void> | null = null;
  /** null: no call has waited yet. Most connections never wait. */
  #waiters: Set<ProtocolWaiter> | null = null;
  /** The completed future that `drain()` returns if it need not wait. */
  readonly #drained: Future<void>;
  #paused: boolean = false;
  #lost: boolean = false;
  #error: Error | null = null;
  #drainsInARow: number = 0;

  /**
   * @param reader a reader of the connection's loop
   * @param callback the callback of a server; null: none
   * @throws TypeError
   */
  constructor(reader: StreamReader, callback: ConnectionCallback | null = null) {
    if (!(reader instanceof StreamReader)) throw invalidArgType('reader', reader, 'a StreamReader');
    if (callback !== null) checkFunction('callback', callback);
    this.reader = reader;
    this.#callback = callback;
    this.#drained = done(reader._loop);
  }

  /** @internal */
  get _loop(): Loop {
    return this.reader._loop;
  }

  // --- called by the transport ---

  connectionMade(transport: Transport): void {
    this.transport = transport;
    this.reader._setTransport(transport);
    const callback = this.#callback;
    if (callback === null) return;
    const writer = new StreamWriter(transport, this);
    // The task awaits the result: a promise, a future or nothing.
    const start = (): PromiseLike<void> => callback(this.reader, writer) as PromiseLike<void>;
    this.#task = (this._loop as TaskMaker)._createNamedTask(start, this);
    this.#task._addWaiter(this);
  }

  dataReceived(data: Buffer): void {
    this.#drainsInARow = 0;
    this.reader._feed(data);
  }

  /** Keeps the transport open for writing, as asyncio does: the writer closes it. */
  eofReceived(): boolean {
    this.reader.feedEof();
    return true;
  }

  connectionLost(exception: Error | null): void {
    this.#lost = true;
    this.#error = exception;
    this.reader._setTransport(null);
    if (exception === null) this.reader.feedEof();
    else this.reader.setException(exception);
    this.#wakeAll();
  }

  pauseWriting(): void {
    this.#paused = true;
  }

  resumeWriting(): void {
    this.#paused = false;
    this.#wakeAll();
  }

  // --- called by the writer ---

  /** Whether this is the server side: the protocol has a callback. @internal */
  get _serverSide(): boolean {
    return this.#callback !== null;
  }

  /**
   * Gives up the transport, which a TLS layer takes over. Returns the data that was received but not read.
   * @internal
   */
  _letGo(): Buffer {
    const received = this.reader._surrender();
    this.reader._setTransport(null);
    return received;
  }

  /** Continues with the TLS transport. @internal */
  _goOn(transport: Transport): void {
    this.transport = transport;
    if (!this.#lost) this.reader._setTransport(transport);
  }

  /** Waits until the transport may write. Fails if the connection is lost. @internal */
  _drain(): Future<void> {
    const error = this.#drainError();
    if (error !== null) return failed(this._loop, error);
    // A closing transport accepts no data any more, and never pauses.
    const mayGoOn = !this.#paused && this.transport?.isClosing() === false;
    if (mayGoOn && ++this.#drainsInARow < DRAINS_BEFORE_TURN) return this.#drained;
    this.#drainsInARow = 0;
    const drain = new ProtocolWaiter(this, 'drain');
    this.#addWaiter(drain);
    // No event would wake it, so wake it now. If the connection is lost before its turn, it fails with that
    // error.
    if (!this.#paused) drain.wake();
    return drain;
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
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this._loop, signal);
    return cancelOnAbort(this.#waitClosed(), signal);
  }

  #waitClosed(): Future<void> {
    if (this.#lost) return this.#error === null ? this.#drained : failed(this._loop, this.#error);
    const closed = new ProtocolWaiter(this, 'closed');
    this.#addWaiter(closed);
    return closed;
  }

  /** Completes a waiter in its turn, or lets it wait on. @internal */
  _turnOf(wait: ProtocolWaiter): void {
    if (!this.#lost && (wait.kind === 'closed' || this.#paused)) return;
    this.#waiters?.delete(wait);
    const error = wait.kind === 'closed' ? this.#error : this.#drainError();
    if (error === null) wait.grant();
    else wait.fail(error);
  }

  /** @internal */
  _nameOf({ kind }: ProtocolWaiter): string {
    return kind === 'drain' ? 'StreamWriter.drain()' : 'StreamWriter.waitClosed()';
  }

  /** @internal */
  _facts(): string {
    const { transport } = this;
    return transport === null ? 'not connected' : factsOf(transport);
  }

  /** @internal */
  _gaveUp(wait: ProtocolWaiter): void {
    this.#waiters?.delete(wait);
  }

  #drainError(): Error | null {
    const exception = this.reader.exception();
    if (exception !== null || !this.#lost) return exception;
    return new LoopError('ERR_TRANSPORT_CLOSED', 'drain(): the connection is closed');
  }

  #addWaiter(wait: ProtocolWaiter): void {
    this.#waiters ??= new Set();
    this.#waiters.add(wait);
  }

  #wakeAll(): void {
    for (const wait of this.#waiters ?? []) wait.wake();
  }

  /** Names the task of the connection, for reports. @internal */
  _taskName(): string {
    const peer = this.transport?.getExtraInfo('peername') ?? null;
    return peer === null ? 'connection' : `connection from ${formatAddress(peer)}`;
  }

  /** The callback has ended. @internal */
  _run(): void {
    const task = this.#task as Task<void>;
    // Read it now: `startTls()` may have replaced the first transport.
    const transport = this.transport as Transport;
    if (task.cancelled()) {
      transport.close();
      return;
    }
    const exception = task.exception();
    if (exception === null) return;
    this._loop.callExceptionHandler({
      message: 'exception in the callback of startServer(): its connection is aborted',
      exception,
      task,
      transport,
      protocol: this,
    });
    transport.abort();
  }
}

showInOneLine(StreamReaderProtocol);

/** A pending `drain()` or `waitClosed()`. */
class ProtocolWaiter extends Waiter<void> {
  readonly kind: 'drain' | 'closed';

  constructor(protocol: StreamReaderProtocol, kind: 'drain' | 'closed') {
    super(protocol._loop, protocol);
    this.kind = kind;
  }
}
