/**
 * The reading half of a stream: the buffered data, and the read that waits for more.
 *
 * Data wakes the waiting read. When the ready queue runs it, it takes the data and delivers it in the same
 * step. Until then the data stays in the buffer, so a cancel loses none.
 */

import { DEFAULT_READER_LIMIT_BYTES } from '../base/constants.ts';
import { IncompleteReadError, InvalidStateError, LimitOverrunError, LoopError } from '../base/errors.ts';
import { brief, bytesText, showInOneLine } from '../base/one-line.ts';
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
import type { PipeOptions } from './pipe.ts';
import { pipe } from './pipe.ts';
import type { Needle } from './read-buffer.ts';
import { ReadBuffer } from './read-buffer.ts';
import type { Separator } from './separators.ts';
import { areSame, bufferOf, needleOf } from './separators.ts';
import type { StreamWriter } from './writer.ts';

export interface StreamReaderOptions {
  /**
   * Bytes: the longest line or record. The transport is paused above twice this many buffered bytes. Default:
   * 64 KiB.
   */
  limit?: number;
  /** The loop of the reader. Default: the running loop. */
  loop?: Loop;
}

const READER_OPTIONS = ['limit', 'loop'];
const NEWLINE = needleOf(['\n']);
const NO_SEPARATORS: readonly Separator[] = [];

/**
 * The reading half of a connection: reads bytes, lines or records.
 *
 * - `openConnection()` and `startServer()` make readers. Feed your own reader with `feedData()` and
 *   `feedEof()`.
 * - Only one read may wait at a time. A second one throws {@link InvalidStateError}.
 * - The caller owns the returned buffer. The buffer may be a view of a larger one: copy it (`new
 *   Uint8Array(line)`) to keep a few bytes for long.
 * - The reader pauses the transport when more than twice `limit` bytes are buffered and no read waits. At
 *   `limit` or below it resumes the transport.
 * - A read of buffered data returns a completed future, and costs no turn.
 * - After a connection was lost by an error, every read throws that error.
 *
 * **Cancellation** of a read loses nothing: the data stays in the buffer for the next read.
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
  /** Whether `_flush()` is due at the end of the turn, because a read has left data in the buffer. */
  #watchesRest: boolean = false;
  /** The separators of the last `readuntil()`, because the next call often has the same. Bytes are copies. */
  #separators: readonly Separator[] = NO_SEPARATORS;
  #needle: Needle = NEWLINE;

  /**
   * @param options `limit` in bytes; `loop`
   * @throws LoopError `ERR_NO_RUNNING_LOOP` without `loop`, if no loop is running
   */
  constructor(options: StreamReaderOptions = {}) {
    checkOptions('options', options, READER_OPTIONS);
    checkLimit('options.limit', options.limit);
    this.limit = options.limit ?? DEFAULT_READER_LIMIT_BYTES;
    this._loop = options.loop ?? runningLoop();
  }

  /**
   * Reads up to `n` buffered bytes, and waits only if none are buffered. Returns an empty buffer at the end
   * of the stream.
   *
   * @param n bytes; -1 (the default) reads until the end of the stream
   * @param options `signal` cancels the read
   * @throws the error that ended the connection; {@link InvalidStateError} if another read is waiting;
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
   * Reads a line with its `\n`. The last line may have none. Returns an empty buffer at the end of the
   * stream.
   *
   * @param options `signal` cancels the read
   * @throws {@link LimitOverrunError} if the line is longer than `limit`: its buffered part is dropped, or
   *   the whole line if its end is buffered; the error that ended the connection; {@link InvalidStateError}
   *   if another read is waiting
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
   * Reads exactly `n` bytes, which may be more than `limit`.
   *
   * @param n bytes
   * @param options `signal` cancels the read
   * @throws {@link IncompleteReadError} if the stream ends before: `partial` has the bytes until then; the
   *   error that ended the connection; {@link InvalidStateError} if another read is waiting; RangeError
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
   * Reads up to and including `separator`. With several separators, the first to end in the stream counts.
   *
   * @param separator a string (UTF-8), bytes, or an array of them; default `\n`
   * @param options `signal` cancels the read
   * @throws {@link LimitOverrunError} if the data before the separator is longer than `limit`: everything
   *   stays in the buffer, and `readexactly(error.consumed)` reads `consumed` bytes of it; {@link
   *   IncompleteReadError} if the stream ends before: `partial` has the bytes until then; the error that
   *   ended the connection; {@link InvalidStateError} if another read is waiting; TypeError, RangeError for
   *   no separator or an empty one
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

  /** Returns whether the stream has ended, and all data was read. */
  atEof(): boolean {
    return this.#eof && this.#buffer.length === 0;
  }

  /**
   * Iterates over the lines, as {@link readline} returns them, until the end of the stream. Leaving the
   * iteration closes nothing, and data that was not read stays in the buffer. A `next()` that waits then
   * completes without a line.
   *
   * @param options `signal` cancels the reads
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
   * Iterates over the chunks as they were received, without a copy, until the end of the stream: `for await
   * (const chunk of reader)`. See {@link lines}.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return new ReaderIterator((item) => this.#read('chunk', 1, null, undefined, item));
  }

  /**
   * Copies the stream to `writer` until its end, with back-pressure, and then ends the writing side: by
   * `writeEof()`, or by `close()` if there is no half-close (TLS). Two such calls make a proxy:
   * `gather(a.pipeTo(bWriter), b.pipeTo(aWriter))`.
   *
   * After an error neither side is closed.
   *
   * @param writer a writer of the same loop
   * @param options `preventClose` leaves the writing side open; `signal` cancels the call
   * @returns a future that completes once `writer` has taken all data. Its buffer is then below its low-water
   *   mark: wait for `writer.waitClosed()` if all of it must have left
   * @throws TypeError. As a rejection: the error that ended one of the connections; LoopError
   *   `ERR_TRANSPORT_CLOSED` if the writer is closed, also while no data comes; {@link InvalidStateError} if
   *   another read is waiting
   *
   * **Cancellation** leaves reader and writer usable. No data is lost, and none is written twice: the next
   * read continues behind the last byte that was written.
   *
   * @example
   * ```ts
   * import { openConnection, run, startServer } from 'gyre';
   *
   * await run(async () => {
   *   await using server = await startServer((reader, writer) => reader.pipeTo(writer), '127.0.0.1', 0);
   *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
   *   const [reader, writer] = await openConnection('127.0.0.1', port);
   *   writer.write('there and back');
   *   writer.writeEof();
   *   console.log((await reader.read()).toString()); // there and back
   *   writer.close();
   *   server.closeClients();
   * });
   * ```
   */
  pipeTo(writer: StreamWriter, options: PipeOptions = {}): Future<void> {
    return pipe(this, writer, options);
  }

  /** Reads a chunk as it was received; an empty one at the end of the stream. @internal */
  _chunk(): Future<Buffer> {
    return this.#read('chunk', 1, null, undefined) as Future<Buffer>;
  }

  // --- called by the protocol, or by the user who feeds the reader ---

  /**
   * Appends data to the buffer, and wakes the waiting read. Do not change the bytes afterwards.
   *
   * @throws {@link InvalidStateError} after `feedEof()`; TypeError
   */
  feedData(data: string | Uint8Array): void {
    checkData('data', data);
    this._feed(bufferOf(data));
  }

  /** Marks the end of the stream. Idempotent. */
  feedEof(): void {
    this.#eof = true;
    this.#waiting?.wake();
  }

  /** Makes every read throw `exception` from now on, including the waiting one. */
  setException(exception: Error): void {
    if (typeof exception !== 'object' || exception === null) {
      throw invalidArgType('exception', exception, 'an Error');
    }
    this.#exception = exception;
    this.#waiting?.wake();
  }

  /** Returns the exception of {@link setException}, or the error that ended the connection; else null. */
  exception(): Error | null {
    return this.#exception;
  }

  /** Appends a buffer from the protocol, as `feedData()` does. @internal */
  _feed(chunk: Buffer): void {
    if (this.#eof) throw new InvalidStateError('feedData(): feedEof() has already ended this stream');
    this.#buffer.push(chunk);
    const waiting = this.#waiting;
    if (waiting !== null && this.#buffer.length >= waiting.wakeAtBytes) waiting.wake();
    else this.#buffer.keep();
    this.#pauseIfFull();
  }

  /** Sets the transport to pause when the buffer is full; null when the transport is gone. @internal */
  _setTransport(transport: ReadTransport | null): void {
    this.#transport = transport;
    this.#paused = false;
    this.#pauseIfFull();
  }

  /**
   * Returns the data that was received but not read, for a TLS layer that feeds the reader from now on.
   * @internal
   */
  _surrender(): Buffer {
    if (this.#eof) {
      throw new LoopError('ERR_TRANSPORT_CLOSED', 'the peer has already closed its writing side');
    }
    return this.#buffer.take(this.#buffer.length);
  }

  /** Completes a read in its turn, or lets it wait on. @internal */
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
  _nameOf({ want }: PendingRead): string {
    const method = { until: 'readuntil', line: 'readline', exactly: 'readexactly' }[want as string] ?? 'read';
    return `StreamReader.${method}()`;
  }

  /** @internal */
  _facts(): string {
    const end =
      this.#exception !== null ? `, failed: ${brief(this.#exception)}` : this.#eof ? ', at its end' : '';
    const waiting = this.#waiting === null ? '' : `, a read waits`;
    return `${bytesText(this.#buffer.length)} buffered${this.#paused ? ', paused' : ''}${end}${waiting}`;
  }

  /** @internal */
  _gaveUp(read: PendingRead): void {
    if (this.#waiting !== read) return;
    this.#waiting = null;
    this.#buffer.keep();
    this.#pauseIfFull();
  }

  /** The turn has ended, and the rest of the data was not read. @internal */
  _flush(): void {
    this.#watchesRest = false;
    this.#buffer.keep();
  }

  /** Reads at once if the buffer has the data, else waits. */
  #read(
    want: Want,
    bytes: number,
    needle: Needle | null,
    options: SignalOptions | undefined,
    item: boolean = false,
  ): Promise<unknown> {
    if (this.#waiting !== null) {
      throw new InvalidStateError('another read of this stream is waiting; only one may wait at a time');
    }
    const signal = signalOf(options);
    if (signal?.aborted) return aborted(this._loop, signal);
    let taken: Buffer | null;
    try {
      taken = this.#take(want, bytes, needle);
    } catch (error) {
      return failed(this._loop, error);
    }
    // An iterator may return a native promise, which costs less to await. It is fulfilled, so there is
    // nothing to cancel.
    if (taken !== null) return item ? Promise.resolve(itemOf(taken)) : succeeded<unknown>(this._loop, taken);
    const read = new PendingRead(this, want, bytes, needle, item);
    this.#waiting = read;
    this.#resume();
    return cancelOnAbort(read, signal);
  }

  /**
   * Takes the data of a read out of the buffer; null if there is too little. An empty buffer is the end of
   * the stream.
   */
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

  /** Look at the end of the turn, because the next read often takes the rest in the same turn. */
  #watchRest(): void {
    if (this.#watchesRest) return;
    this.#watchesRest = true;
    this._loop._scheduler.flushAtTurnEnd(this);
  }

  // --- back-pressure ---

  #pauseIfFull(): void {
    if (this.#paused || this.#transport === null || this.#buffer.length <= 2 * this.limit) return;
    // A read that waits for more must get its data: the limit holds only for data that no read waits for.
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

showInOneLine(StreamReader);

function overrun(message: string, consumed: number): LimitOverrunError {
  return new LimitOverrunError(message, consumed);
}

/** Checks the option `limit` of the streams. */
export function checkLimit(name: string, limit: unknown): void {
  if (limit !== undefined) checkInteger(name, limit, 1, Number.MAX_SAFE_INTEGER);
}
