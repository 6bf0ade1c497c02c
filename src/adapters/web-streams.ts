/** `toWebStreams`: a transport as a pair of Web streams. */
import type { ReadableByteStreamController, WritableStreamDefaultController } from 'node:stream/web';
import { ReadableStream, WritableStream } from 'node:stream/web';
import { LoopError } from '../base/errors.ts';
import { checkData, checkInteger, checkOptions } from '../base/validate.ts';
import type { Loop } from '../loop/types.ts';
import type { Protocol } from '../net/protocol.ts';
import type { Transport } from '../net/transport.ts';
import { checkOpenTransport, checkReceived, closedError, loopFor, whenLoopCloses } from './adapter.ts';

export interface WebStreamsOptions {
  /** Bytes that an earlier protocol has received. They are read first. */
  received?: Uint8Array;
  /** Bytes that each of the two streams buffers. Default: 64 KiB. */
  highWaterMark?: number;
  /** The loop of the transport. Default: the running loop. */
  loop?: Loop;
}

/** The result of `toWebStreams`. */
export interface WebStreams {
  /** A byte stream: `getReader({ mode: 'byob' })` works. */
  readable: ReadableStream<Uint8Array>;
  /** Accepts bytes, and strings as UTF-8. */
  writable: WritableStream<string | Uint8Array>;
}

export const DEFAULT_HIGH_WATER_MARK_BYTES: number = 64 * 1024;

/**
 * Makes a pair of Web streams over a transport, with back-pressure in both directions.
 *
 * - A `write()` is done once its data has left. Its buffer may then be used again.
 * - `writable.close()` calls `writeEof()`, and is done once everything has left. Without half-close (TLS) it
 *   calls `close()`, and `readable` fails unless the peer has ended its side.
 * - `writable.abort(reason)` aborts the connection at once. A pending write or close fails with the reason.
 * - `readable.cancel()` drops all data from then on, and leaves the writing side open. The connection is
 *   closed when the writing side has ended, too. A peer that is still sending sees that as a reset.
 * - The connection is closed when both directions have ended.
 * - If the peer ends in the middle of an element (`mode: 'byob'` with a `Uint32Array`), only `readable`
 *   fails.
 * - An error of the connection fails both streams; `readable` fails after the data that was received before.
 * - While the loop does not run, no event comes. `loop.close()` fails both streams with `ERR_LOOP_CLOSED`.
 *
 * @param transport a connected transport of any implementation; its protocol is replaced by `setProtocol()`.
 *   A transport of gyre must belong to `loop`
 * @param options `received`, `highWaterMark` in bytes, `loop`: default is the running loop
 * @returns the two streams
 * @throws TypeError, RangeError; LoopError `ERR_TRANSPORT_CLOSED` if the transport is closing,
 *   `ERR_NO_RUNNING_LOOP`, `ERR_LOOP_CLOSED`
 *
 * @example
 * ```ts
 * import type { Transport } from 'gyre';
 * import { getRunningLoop, Protocol, run } from 'gyre';
 * import { toWebStreams } from 'gyre/node';
 *
 * class Echo extends Protocol {
 *   override connectionMade(transport: Transport): void {
 *     const { readable, writable } = toWebStreams(transport);
 *     void readable.pipeTo(writable);
 *   }
 * }
 * class Paused extends Protocol {
 *   override connectionMade(transport: Transport): void {
 *     transport.pauseReading();
 *   }
 * }
 *
 * await run(async () => {
 *   const loop = getRunningLoop();
 *   const server = await loop.createServer(() => new Echo(), '127.0.0.1', 0);
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *   const [transport] = await loop.createConnection(() => new Paused(), '127.0.0.1', port);
 *   const { readable, writable } = toWebStreams(transport);
 *   const writer = writable.getWriter();
 *   await writer.write('there and back');
 *   await writer.close();
 *   for await (const data of readable) console.log(Buffer.from(data).toString()); // there and back
 *   await transport[Symbol.asyncDispose]();
 *   server.close();
 *   await server.waitClosed();
 * });
 * ```
 */
export function toWebStreams(transport: Transport, options: WebStreamsOptions = {}): WebStreams {
  checkOptions('options', options, ['received', 'highWaterMark', 'loop']);
  checkReceived(options.received);
  const { highWaterMark = DEFAULT_HIGH_WATER_MARK_BYTES } = options;
  checkInteger('options.highWaterMark', highWaterMark, 0, Number.MAX_SAFE_INTEGER);
  const loop = loopFor(options.loop);
  checkOpenTransport(loop, transport);
  const bridge = new WebBridge(loop, transport, highWaterMark);
  // Copy the bytes: the stream transfers their memory, and the caller still owns it.
  if (options.received !== undefined && options.received.length > 0) {
    bridge.dataReceived(new Uint8Array(options.received));
  }
  return { readable: bridge.readable, writable: bridge.writable };
}

/** The protocol between a transport and its two streams. */
class WebBridge implements Protocol {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<string | Uint8Array>;
  readonly #transport: Transport;
  readonly #highWaterMark: number;
  readonly #forgetLoop: () => void;
  #readableController!: ReadableByteStreamController;
  #writableController!: WritableStreamDefaultController;
  #readingEnded: boolean = false;
  #writingEnded: boolean = false;
  #writingPaused: boolean = false;
  #lost: boolean = false;
  /** The error that ended the connection. `readable` fails with it once all received data was read. */
  #fault: unknown = undefined;
  /** The pending write or close. */
  #unfinished: { resolve(): void; reject(error: unknown): void } | null = null;

  constructor(loop: Loop, transport: Transport, highWaterMark: number) {
    transport.setProtocol(this);
    this.#transport = transport;
    this.#highWaterMark = highWaterMark;
    this.#forgetLoop = whenLoopCloses(loop, () =>
      this.#fail(new LoopError('ERR_LOOP_CLOSED', 'the event loop of this connection was closed')),
    );
    this.readable = new ReadableStream(
      {
        type: 'bytes',
        start: (controller: ReadableByteStreamController) => {
          this.#readableController = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#cancel(),
      },
      { highWaterMark },
    ) as ReadableStream<Uint8Array>;
    this.writable = new WritableStream<string | Uint8Array>(
      {
        start: (controller) => {
          this.#writableController = controller;
          // Listen to the signal: the sink's `abort()` would wait for the pending write or close.
          const { signal } = controller as unknown as { signal: AbortSignal };
          signal.addEventListener('abort', () => this.#abort(signal.reason));
        },
        write: (chunk) => this.#write(chunk),
        close: () => this.#endWriting(),
      },
      { highWaterMark, size: byteLength },
    );
    // A write is done once its data has left, so that its buffer may be used again.
    transport.setWriteBufferLimits({ high: 0 });
    this.#writingPaused = transport.getWriteBufferSize() > 0;
  }

  // --- the protocol ---

  dataReceived(data: Uint8Array): void {
    if (this.#readingEnded) return;
    this.#readableController.enqueue(ownedBytes(data));
    if ((this.#readableController.desiredSize ?? 0) <= 0) this.#transport.pauseReading();
  }

  eofReceived(): boolean {
    this.#endReading();
    return true;
  }

  pauseWriting(): void {
    this.#writingPaused = true;
  }

  resumeWriting(): void {
    this.#writingPaused = false;
    this.#finish(null);
  }

  connectionLost(error: Error | null): void {
    // The streams know already: they have closed the connection, or the loop was closed.
    if (this.#lost) return;
    if (error !== null) {
      this.#fail(error);
      return;
    }
    // A pending close is done, because its data has left. The other direction was closed elsewhere, or there
    // is no half-close.
    if (this.#writingEnded) this.#finish(null);
    this.#fail(closedError());
  }

  // --- reading ---

  #pull(): void {
    if (this.#fault !== undefined) this.#failReadable();
    else if (!this.#lost) this.#transport.resumeReading();
  }

  /** Reads and drops further data, so that a peer that sends before it reads is not blocked. */
  #cancel(): void {
    this.#readingEnded = true;
    if (this.#lost) return;
    if (this.#writingEnded) this.#transport.close();
    else this.#transport.resumeReading();
  }

  #endReading(): void {
    if (this.#readingEnded) return;
    this.#readingEnded = true;
    try {
      this.#readableController.close();
      // Gives a lent buffer back to the reader.
      this.#readableController.byobRequest?.respond(0);
    } catch {
      // The last bytes are less than an element of the reader's buffer. Only `readable` has failed, with this
      // error.
    }
    if (this.#writingEnded && !this.#lost) this.#transport.close();
  }

  // --- writing ---

  #write(data: string | Uint8Array): Promise<void> | undefined {
    try {
      checkData('chunk', data);
      if (this.#transport.isClosing()) throw closedError();
      this.#transport.write(data);
    } catch (error) {
      // A failed writable stream accepts no more data. The connection is of no use any more.
      this.#abort(error);
      throw error;
    }
    return this.#writingPaused ? this.#untilDone() : undefined;
  }

  #endWriting(): Promise<void> | undefined {
    this.#writingEnded = true;
    const transport = this.#transport;
    if (transport.canWriteEof()) transport.writeEof();
    else transport.close();
    if (this.#readingEnded) transport.close();
    return transport.getWriteBufferSize() > 0 ? this.#untilDone() : undefined;
  }

  #untilDone(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#unfinished = { resolve, reject };
    });
  }

  #finish(error: unknown): void {
    const unfinished = this.#unfinished;
    this.#unfinished = null;
    if (error === null) unfinished?.resolve();
    else unfinished?.reject(error);
  }

  /** Aborts the connection, because the writable stream has failed or was aborted. */
  #abort(reason: unknown): void {
    if (this.#lost) return;
    this.#transport.abort();
    this.#end(reason);
  }

  // --- ending ---

  /** Fails both streams, because the connection was lost or the loop was closed. */
  #fail(error: unknown): void {
    if (!this.#writingEnded || this.#unfinished !== null) this.#writableController.error(error);
    this.#end(error);
  }

  /** Fails `readable` if it holds no data: then its desired size is the high-water mark. */
  #failReadable(): void {
    if (this.#readingEnded || this.#readableController.desiredSize !== this.#highWaterMark) return;
    this.#readingEnded = true;
    this.#readableController.error(this.#fault);
  }

  /** Marks the connection as lost. Fails the pending write or close now, and `readable` once it is empty. */
  #end(error: unknown): void {
    this.#lost = true;
    this.#forgetLoop();
    this.#writingEnded = true;
    this.#finish(error);
    if (this.#readingEnded) return;
    this.#fault = error;
    this.#failReadable();
  }
}

export function byteLength(chunk: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk);
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}

/**
 * Copies the data if it is a part of a larger buffer, because a byte stream transfers the memory of its
 * chunks.
 */
export function ownedBytes(data: Uint8Array): Uint8Array {
  return data.byteLength === data.buffer.byteLength ? data : new Uint8Array(data);
}
