/**
 * The reading half of a stream: what has come, and the one who waits for more.
 *
 * A wait is a place, as in sync/waiters.ts: data wakes it, and *then*, in its turn of the ready queue, it
 * takes what it wants and has it handed over in the same step. Until that moment the data is in the buffer,
 * so a cancel loses none.
 */
import { DEFAULT_READER_LIMIT_BYTES } from '../base/constants.ts';
import { IncompleteReadError, InvalidStateError, LimitOverrunError, LoopError } from '../base/errors.ts';
import { checkData, checkInteger, checkOptions, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { Loop } from '../loop/types.ts';
import type { ReadTransport } from '../net/transport.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import type { Future } from '../tasks/future.ts';
import { aborted, failed, signalOf, succeeded } from '../tasks/settled.ts';
import type { Want } from './pending-read.ts';
import { itemOf, PendingRead, ReaderIterator } from './pending-read.ts';
import type { Needle } from './read-buffer.ts';
import { ReadBuffer } from './read-buffer.ts';
import type { Separator } from './separators.ts';
import { areSame, bufferOf, needleOf } from './separators.ts';

export interface StreamReaderOptions {
  /**
   * Bytes: the longest line or record, and half of what is buffered before the transport is paused. Default:
   * 64 KiB.
   */
  limit?: number;
  /** Default: the running loop. */
  loop?: Loop;
}

const READER_OPTIONS = ['limit', 'loop'];
const NEWLINE = needleOf(['\n']);

/**
 * The reading half of a connection: bytes, lines, records, whole or as they come.
 *
 * - `openConnection()` and `startServer()` make it. One made by hand is fed by `feedData()` and `feedEof()`.
 * - One read at a time: a second one, while the first is waiting, throws {@link InvalidStateError}.
 * - What it gives belongs to the caller. It may be a view of the larger memory that was read into: copy it
 *   (`new Uint8Array(line)`) where a few bytes are kept for long.
 * - Above twice `limit` buffered bytes that nobody waits for, the transport is paused; at or below `limit` it
 *   goes on.
 * - A read whose data is there already is a future that is done already, and costs no turn.
 * - After a connection was lost by an error, every read throws it.
 *
 * **Cancellation** of a read loses nothing: what had come is still there for the next one.
 *
 * @example
 * ```ts
 * import { run, StreamReader } from 'gyre';
 *
 * await run(async () => {
 *   const reader = new StreamReader();
 *   reader.feedData('first\nsecond\n');
 *   reader.feedEof();
 *   for await (const line of reader.lines()) console.log(line.toString().trimEnd());
 * });
 * ```
 */
export class StreamReader implements AsyncIterable<Buffer> {
  /** Bytes: see {@link StreamReaderOptions.limit}. */
  readonly limit: number;
  /** @internal */ readonly _loop: Loop;
  readonly #buffer: ReadBuffer = new ReadBuffer();
  #eof: boolean = false;
  #exception: Error | null = null;
  #waiting: PendingRead | null = null;
  #transport: ReadTransport | null = null;
  #paused: boolean = false;
  /** A read has left data, and the end of the turn looks whether it is still there. */
  #watchesRest: boolean = false;
  /** The last `readuntil()` asked for these, and the next one often does, too. Bytes are copies. */
  #separators: readonly Separator[] = [];
  #needle: Needle = NEWLINE;

  /**
   * @param options `limit` in bytes; `loop`
   * @throws LoopError `ERR_NO_RUNNING_LOOP` outside of a loop, when none is given
   */
  constructor(options: StreamReaderOptions = {}) {
    checkOptions('options', options, READER_OPTIONS);
    checkLimit('options.limit', options.limit);
    this.limit = options.limit ?? DEFAULT_READER_LIMIT_BYTES;
    this._loop = options.loop ?? runningLoop();
  }

  /**
   * Reads what is there, at most `n` bytes; waits only when there is nothing. At the end of the stream it is
   * empty.
   *
   * @param n bytes; -1 (the default) reads all there is until the end of the stream
   * @param options `signal` to cancel it
   * @throws the error that ended the connection; {@link InvalidStateError} when another read is waiting;
   *   RangeError
   *
   * **Cancellation** loses nothing.
   *
   * @example
   * ```ts
   * import { run, StreamReader } from 'gyre';
   *
   * await run(async () => {
   *   const reader = new StreamReader();
   *   reader.feedData('Hello World');
   *   console.log((await reader.read(5)).toString()); // Hello
   * });
   * ```
   */
  read(n: number = -1, options?: SignalOptions): Future<Buffer> {
    checkInteger('n', n, -1, Number.MAX_SAFE_INTEGER);
    return this.#read(n < 0 ? 'all' : 'some', n, null, options) as Future<Buffer>;
  }

  /**
   * Reads a line, its `\n` included. The last one may lack it; at the end of the stream it is empty.
   *
   * @param options `signal` to cancel it
   * @throws {@link LimitOverrunError} when the line is longer than `limit`: what was buffered of it is
   *   dropped, the whole line if its end has come; the error that ended the connection; {@link
   *   InvalidStateError} when another read is waiting
   *
   * **Cancellation** loses nothing.
   *
   * @example
   * ```ts
   * import { run, StreamReader } from 'gyre';
   *
   * await run(async () => {
   *   const reader = new StreamReader();
   *   reader.feedData('GET / HTTP/1.1\r\nHost: example.org\r\n');
   *   console.log((await reader.readline()).toString().trim()); // GET / HTTP/1.1
   * });
   * ```
   */
  readline(options?: SignalOptions): Future<Buffer> {
    return this.#read('line', 1, NEWLINE, options) as Future<Buffer>;
  }

  /**
   * Reads `n` bytes, no less. `limit` does not matter here.
   *
   * @param n bytes
   * @param options `signal` to cancel it
   * @throws {@link IncompleteReadError} when the stream ends before: `partial` holds what had come; the error
   *   that ended the connection; {@link InvalidStateError} when another read is waiting; RangeError
   *
   * **Cancellation** loses nothing.
   *
   * @example
   * ```ts
   * import { run, StreamReader } from 'gyre';
   *
   * await run(async () => {
   *   const reader = new StreamReader();
   *   reader.feedData(Uint8Array.of(0, 3, 97, 98, 99));
   *   const length = (await reader.readexactly(2)).readUInt16BE();
   *   console.log((await reader.readexactly(length)).toString()); // abc
   * });
   * ```
   */
  readexactly(n: number, options?: SignalOptions): Future<Buffer> {
    checkInteger('n', n, 0, Number.MAX_SAFE_INTEGER);
    return this.#read('exactly', n, null, options) as Future<Buffer>;
  }

  /**
   * Reads up to and including `separator`. Of several separators the one that ends first in the stream
   * counts.
   *
   * @param separator a string (UTF-8), bytes, or an array of such; default `\n`
   * @param options `signal` to cancel it
   * @throws {@link LimitOverrunError} when what comes before the separator is longer than `limit`: everything
   *   stays in the buffer, and `consumed` bytes of it can be read by `readexactly(error.consumed)`; {@link
   *   IncompleteReadError} when the stream ends before: `partial` holds what had come; the error that ended
   *   the connection; {@link InvalidStateError} when another read is waiting; TypeError, RangeError for an
   *   empty separator or none
   *
   * **Cancellation** loses nothing.
   *
   * @example
   * ```ts
   * import { run, StreamReader } from 'gyre';
   *
   * await run(async () => {
   *   const reader = new StreamReader();
   *   reader.feedData('Host: example.org\r\n\r\nbody');
   *   console.log((await reader.readuntil('\r\n\r\n')).length); // 21
   * });
   * ```
   */
  readuntil(separator: Separator | readonly Separator[] = '\n', options?: SignalOptions): Future<Buffer> {
    const separators: readonly Separator[] = Array.isArray(separator) ? separator : [separator];
    if (!areSame(separators, this.#separators)) {
      this.#needle = needleOf(separators);
      this.#separators = separators.map((each) => (typeof each === 'string' ? each : Buffer.from(each)));
    }
    return this.#read('until', 1, this.#needle, options) as Future<Buffer>;
  }

  /** Whether the stream has ended and everything was read. */
  atEof(): boolean {
    return this.#eof && this.#buffer.length === 0;
  }

  /**
   * The lines, as {@link readline} gives them, until the end of the stream. Leaving the iterator closes
   * nothing: what was not read can still be, and a `next()` that waits is done, without a line.
   *
   * @param options `signal` to cancel the waits
   *
   * **Cancellation** loses nothing.
   *
   * @example
   * ```ts
   * import { run, StreamReader } from 'gyre';
   *
   * await run(async () => {
   *   const reader = new StreamReader();
   *   reader.feedData('one\ntwo\n');
   *   reader.feedEof();
   *   for await (const line of reader.lines()) console.log(line.length); // 4, 4
   * });
   * ```
   */
  lines(options?: SignalOptions): AsyncIterableIterator<Buffer> {
    if (options !== undefined) signalOf(options);
    return new ReaderIterator((item) => this.#read('line', 1, NEWLINE, options, item));
  }

  /**
   * The chunks as they came, uncopied, until the end of the stream: `for await (const chunk of reader)`. See
   * {@link lines}.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return new ReaderIterator((item) => this.#read('chunk', 1, null, undefined, item));
  }

  // --- the feeding side ---

  /**
   * Appends data, and wakes who waits for it. A buffer must not be changed afterwards.
   *
   * @throws {@link InvalidStateError} after `feedEof()`; TypeError
   */
  feedData(data: string | Uint8Array): void {
    checkData('data', data);
    this._feed(bufferOf(data));
  }

  /** Says that nothing more will come. Idempotent. */
  feedEof(): void {
    this.#eof = true;
    this.#waiting?.wake();
  }

  /** From now on every read throws `exception`; so does the one that is waiting. */
  setException(exception: Error): void {
    if (typeof exception !== 'object' || exception === null) {
      throw invalidArgType('exception', exception, 'an Error');
    }
    this.#exception = exception;
    this.#waiting?.wake();
  }

  /** What {@link setException} set (a lost connection does so, too), or null. */
  exception(): Error | null {
    return this.#exception;
  }

  /** As `feedData()`, from the protocol. @internal */
  _feed(chunk: Buffer): void {
    if (this.#eof) throw new InvalidStateError('feedData(): the end of this stream was fed already');
    this.#buffer.push(chunk);
    const waiting = this.#waiting;
    if (waiting !== null && this.#buffer.length >= waiting.wakeAtBytes) waiting.wake();
    else this.#buffer.keep();
    this.#pauseIfFull();
  }

  /** The one to pause when the buffer is full; null when it is gone. @internal */
  _setTransport(transport: ReadTransport | null): void {
    this.#transport = transport;
    this.#paused = false;
    this.#pauseIfFull();
  }

  /** What was received and not read: it is another layer's, which feeds the reader from now on. @internal */
  _surrender(): Buffer {
    if (this.#eof) {
      throw new LoopError('ERR_TRANSPORT_CLOSED', 'the peer has ended its side of this connection already');
    }
    return this.#buffer.take(this.#buffer.length);
  }

  /** The read's turn has come, and it was not cancelled. @internal */
  _turnOf(read: PendingRead): void {
    let taken: Buffer | null;
    try {
      taken = this.#take(read.want, read.bytes, read.needle);
    } catch (error) {
      this.#waiting = null;
      read.fail(error);
      return;
    }
    if (taken === null) {
      this.#buffer.keep();
      this.#resume();
      return;
    }
    this.#waiting = null;
    read.grant(taken);
  }

  /** @internal */
  _gaveUp(read: PendingRead): void {
    if (this.#waiting !== read) return;
    this.#waiting = null;
    this.#buffer.keep();
    this.#pauseIfFull();
  }

  /** The turn is over, and has read no more. @internal */
  _flush(): void {
    this.#watchesRest = false;
    this.#buffer.keep();
  }

  /** Every read: done at once if it can be, else the one that waits. */
  #read(
    want: Want,
    bytes: number,
    needle: Needle | null,
    options: SignalOptions | undefined,
    item: boolean = false,
  ): Promise<unknown> {
    if (this.#waiting !== null) {
      throw new InvalidStateError('another read of this stream is waiting: one at a time');
    }
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this._loop, signal);
    let taken: Buffer | null;
    try {
      taken = this.#take(want, bytes, needle);
    } catch (error) {
      return failed(this._loop, error);
    }
    // An iterator's result may be a promise of the host, which costs less to await; it is there, so there is
    // nothing to cancel.
    if (taken !== null) return item ? Promise.resolve(itemOf(taken)) : succeeded<unknown>(this._loop, taken);
    const read = new PendingRead(this, want, bytes, needle, item);
    this.#waiting = read;
    this.#resume();
    return cancelOnAbort(read, signal);
  }

  /** What the read wants, or null while it is not there. An empty answer means the end of the stream. */
  #take(want: Want, bytes: number, needle: Needle | null): Buffer | null {
    if (this.#exception !== null) throw this.#exception;
    const buffer = this.#buffer;
    switch (want) {
      case 'line':
        return this.#takeLine(needle as Needle);
      case 'until':
        return this.#takeUntil(needle as Needle);
      case 'some':
        if (buffer.length === 0 && bytes > 0 && !this.#eof) return null;
        return this.#taken(Math.min(bytes, buffer.length));
      case 'chunk':
        return buffer.length > 0 || this.#eof ? this.#taken(buffer.firstLength()) : null;
      case 'all':
        return this.#eof ? this.#taken(buffer.length) : null;
      case 'exactly':
        if (buffer.length >= bytes) return this.#taken(bytes);
        if (this.#eof) throw new IncompleteReadError(this.#taken(buffer.length), bytes);
        return null;
    }
  }

  #takeUntil(needle: Needle): Buffer | null {
    const buffer = this.#buffer;
    const end = buffer.find(needle);
    if (end >= 0) {
      if (buffer.matchStart <= this.limit) return this.#taken(end);
      throw overrun('there is a separator, but before it are more bytes than the limit', buffer.matchStart);
    }
    const consumed = buffer.length + 1 - needle.longest;
    if (consumed > this.limit)
      throw overrun('there are more bytes than the limit and no separator', consumed);
    if (this.#eof) throw new IncompleteReadError(this.#taken(buffer.length), null);
    return null;
  }

  #takeLine(needle: Needle): Buffer | null {
    const buffer = this.#buffer;
    const end = buffer.find(needle);
    if (end >= 0) {
      if (end - 1 <= this.limit) return this.#taken(end);
      buffer.discard(end);
    } else if (buffer.length > this.limit) {
      buffer.discard(buffer.length);
    } else {
      return this.#eof ? this.#taken(buffer.length) : null;
    }
    this.#resumeIfRead();
    throw overrun(`a line is longer than the limit of ${this.limit} bytes: it was dropped`, 0);
  }

  #taken(bytes: number): Buffer {
    const taken = this.#buffer.take(bytes);
    if (this.#paused) this.#resumeIfRead();
    if (this.#buffer.length > 0) this.#watchRest();
    return taken;
  }

  /** The next read often takes the rest in this very turn. */
  #watchRest(): void {
    if (this.#watchesRest) return;
    this.#watchesRest = true;
    this._loop._scheduler.flushAtTurnEnd(this);
  }

  // --- back-pressure ---

  #pauseIfFull(): void {
    if (this.#paused || this.#transport === null || this.#buffer.length <= 2 * this.limit) return;
    // Whoever waits for more than is there must get it: the limit is for what nobody asked for.
    if (this.#waiting !== null && !this.#waiting.woken) return;
    this.#paused = true;
    this.#transport.pauseReading();
  }

  #resumeIfRead(): void {
    if (this.#buffer.length <= this.limit) this.#resume();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#transport?.resumeReading();
  }
}

function overrun(message: string, consumed: number): LimitOverrunError {
  return new LimitOverrunError(message, consumed);
}

/** `limit` as the streams' options have it. */
export function checkLimit(name: string, limit: unknown): void {
  if (limit !== undefined) checkInteger(name, limit, 1, Number.MAX_SAFE_INTEGER);
}
