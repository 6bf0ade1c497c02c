/**
 * The protocol between a transport and a reader and a writer: what comes goes to the reader; who drains waits
 * here while the transport is full; the end is told to both. It holds all of them strongly, as the transport
 * holds it, so nothing is collected while the connection lives.
 */
import { formatAddress } from '../base/address.ts';
import { LoopError } from '../base/errors.ts';
import { checkFunction, invalidArgType } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { DoneCallback } from '../tasks/done-callback.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, done, failed, signalOf } from '../tasks/settled.ts';
import type { Task, TaskMaker } from '../tasks/task.ts';
import { Waiter } from '../tasks/waiter.ts';
import { StreamReader } from './reader.ts';
import { StreamWriter } from './writer.ts';

/** What `startServer` runs for each connection, as a task of its own. */
export type ConnectionCallback = (reader: StreamReader, writer: StreamWriter) => PromiseLike<void> | void;

/**
 * So many `drain()`s in a row may find room at once; the next one costs a turn. The kernel of a fast peer may
 * take whatever is written, and a loop of write and drain would then never let the host poll. Data from the
 * host begins the count anew.
 */
const DRAINS_BEFORE_TURN = 256;

/**
 * The protocol between a transport and a {@link StreamReader}: for streams over a transport that
 * `openConnection()` and `startServer()` do not make, such as a pipe, standard input or standard output. A
 * {@link StreamWriter} over the transport needs it, too.
 *
 * - What comes is fed to the reader, which pauses the transport when it is full.
 * - The end of the peer ends the reader, and leaves the transport open for writing.
 * - With a callback it is the protocol of a server: `callback(reader, writer)` runs as a task for its
 *   connection, as with `startServer()`.
 *
 * One protocol is for one connection. Standard input by lines: `await loop.connectReadPipe(() => new
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
export class StreamReaderProtocol implements Protocol {
  /** @internal */ readonly _loop: Loop;
  /** Gets what comes. */
  readonly reader: StreamReader;
  /** Null before the connection is made. */
  transport: Transport | null = null;
  readonly #callback: ConnectionCallback | null;
  readonly #waits: Set<ProtocolWait> = new Set();
  /** What a `drain()` that need not wait answers: one future, done for ever. */
  readonly #drained: Future<void>;
  #paused: boolean = false;
  #lost: boolean = false;
  #error: Error | null = null;
  #drainsInARow: number = 0;

  /**
   * @param reader of the loop of the connection
   * @param callback of a server; null: none
   * @throws TypeError
   */
  constructor(reader: StreamReader, callback: ConnectionCallback | null = null) {
    if (!(reader instanceof StreamReader)) throw invalidArgType('reader', reader, 'a StreamReader');
    if (callback !== null) checkFunction('callback', callback);
    this._loop = reader._loop;
    this.reader = reader;
    this.#callback = callback;
    this.#drained = done(reader._loop);
  }

  // --- what the transport calls ---

  connectionMade(transport: Transport): void {
    this.transport = transport;
    this.reader._setTransport(transport);
    const callback = this.#callback;
    if (callback === null) return;
    const writer = new StreamWriter(transport, this);
    // What it returns is awaited, be it a promise, one of our futures or nothing.
    const start = (): PromiseLike<void> => callback(this.reader, writer) as PromiseLike<void>;
    const task = (this._loop as TaskMaker).createTask(start, { name: nameOf(transport) });
    new DoneCallback(task, () => this.#callbackEnded(task));
  }

  dataReceived(data: Buffer): void {
    this.#drainsInARow = 0;
    this.reader._feed(data);
  }

  /** The stream stays open for writing, as in asyncio: the writer ends it. */
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

  // --- what the writer asks ---

  /** A protocol with a callback is a server's. @internal */
  get _serverSide(): boolean {
    return this.#callback !== null;
  }

  /**
   * Lets go of the transport, which another layer takes over. Answers what was received and not read.
   * @internal
   */
  _letGo(): Buffer {
    const received = this.reader._surrender();
    this.reader._setTransport(null);
    return received;
  }

  /** From now on this is the transport. @internal */
  _goOn(transport: Transport): void {
    this.transport = transport;
    if (!this.#lost) this.reader._setTransport(transport);
  }

  /** Done when there is room to write, failed when there will never be. @internal */
  _drain(): Future<void> {
    const error = this.#drainError();
    if (error !== null) return failed(this._loop, error);
    // A closing transport takes no data any more, and so never pauses.
    const mayGoOn = !this.#paused && this.transport?.isClosing() === false;
    if (mayGoOn && ++this.#drainsInARow < DRAINS_BEFORE_TURN) return this.#drained;
    this.#drainsInARow = 0;
    const drain = new ProtocolWait(this, 'drain');
    this.#waits.add(drain);
    // Nobody else would wake it. By its turn the connection may be lost, and that is what the caller must
    // learn.
    if (!this.#paused) drain.wake();
    return drain;
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
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this._loop, signal);
    return cancelOnAbort(this.#waitClosed(), signal);
  }

  #waitClosed(): Future<void> {
    if (this.#lost) return this.#error === null ? this.#drained : failed(this._loop, this.#error);
    const closed = new ProtocolWait(this, 'closed');
    this.#waits.add(closed);
    return closed;
  }

  /** The wait's turn has come, and it was not cancelled. @internal */
  _turnOf(wait: ProtocolWait): void {
    if (!this.#lost && (wait.kind === 'closed' || this.#paused)) return;
    this.#waits.delete(wait);
    const error = wait.kind === 'closed' ? this.#error : this.#drainError();
    if (error === null) wait.grant();
    else wait.fail(error);
  }

  /** @internal */
  _gaveUp(wait: ProtocolWait): void {
    this.#waits.delete(wait);
  }

  #drainError(): Error | null {
    const exception = this.reader.exception();
    if (exception !== null || !this.#lost) return exception;
    return new LoopError('ERR_TRANSPORT_CLOSED', 'drain(): the connection is closed');
  }

  #wakeAll(): void {
    for (const wait of this.#waits) wait.wake();
  }

  #callbackEnded(task: Task<void>): void {
    // Not that of the beginning: it may be another since `startTls()`.
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

/** One `drain()` or `waitClosed()` that waits. */
class ProtocolWait extends Waiter<void> {
  readonly kind: 'drain' | 'closed';

  constructor(protocol: StreamReaderProtocol, kind: 'drain' | 'closed') {
    super(protocol._loop, protocol);
    this.kind = kind;
  }
}

/** Seen in reports: which connection it is that still runs, or that failed. */
function nameOf(transport: Transport): string {
  const peer = transport.getExtraInfo('peername');
  return peer === null ? 'connection' : `connection from ${formatAddress(peer)}`;
}
