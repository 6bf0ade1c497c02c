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
  /** Bytes that an earlier protocol has received already: they are read first. */
  received?: Uint8Array;
  /** Bytes that each of the streams buffers. Default: 64 KiB. */
  highWaterMark?: number;
  /** The loop of the transport. Default: the running loop. */
  loop?: Loop;
}

/** What `toWebStreams` answers. */
export interface WebStreams {
  /** A byte stream: `getReader({ mode: 'byob' })` works. */
  readable: ReadableStream<Uint8Array>;
  /** Takes strings, too, as UTF-8. */
  writable: WritableStream<string | Uint8Array>;
}

const DEFAULT_HIGH_WATER_MARK_BYTES = 64 * 1024;

/**
 * Makes a pair of Web streams of a transport, with back-pressure in both directions.
 *
 * - A `write()` is done once its data has left: its buffer may be used again.
 * - `writable.close()` is `writeEof()`, and done once everything has left; where there is no half-close (TLS)
 *   it is `close()`, and the other stream fails unless the peer had ended.
 * - `writable.abort(reason)` aborts the connection at once: a write or close that waits fails by the reason.
 * - `readable.cancel()` drops what comes from then on, and lets the other direction be; once that has ended,
 *   too, the connection is closed, which a peer that is still sending sees as a reset. So is one of which
 *   both directions have ended.
 * - An end of the peer that leaves a reader with a part of an element (`mode: 'byob'` with a `Uint32Array`)
 *   fails `readable` alone.
 * - An error of the connection is both streams' error; to one who reads, after the data that came before.
 * - A loop that does not run moves nothing; one that is closed ends both streams with `ERR_LOOP_CLOSED`.
 *
 * @param transport of any make, connected; it is taken over by `setProtocol()`. One of gyre's has to be of
 *   that loop
 * @param options `received`, `highWaterMark` in bytes, `loop`: default is the running loop
 * @returns the two streams
 * @throws TypeError, RangeError; LoopError `ERR_TRANSPORT_CLOSED` for one that is closing,
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
  // A copy: the stream takes the memory of what it is given away from all others, and this is the caller's.
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
  #reader!: ReadableByteStreamController;
  #writer!: WritableStreamDefaultController;
  #readingEnded: boolean = false;
  #writingEnded: boolean = false;
  #writingPaused: boolean = false;
  #lost: boolean = false;
  /** What ended the connection; told once everything that came before was read. */
  #fault: unknown = undefined;
  /** The write or the end that is not done yet. */
  #unfinished: { resolve(): void; reject(error: unknown): void } | null = null;

  constructor(loop: Loop, transport: Transport, highWaterMark: number) {
    transport.setProtocol(this);
    this.#transport = transport;
    this.#highWaterMark = highWaterMark;
    this.#forgetLoop = whenLoopCloses(loop, () =>
      this.#broken(new LoopError('ERR_LOOP_CLOSED', 'the event loop of this connection was closed')),
    );
    this.readable = new ReadableStream(
      {
        type: 'bytes',
        start: (controller: ReadableByteStreamController) => {
          this.#reader = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#cancel(),
      },
      { highWaterMark },
    ) as ReadableStream<Uint8Array>;
    this.writable = new WritableStream<string | Uint8Array>(
      {
        start: (controller) => {
          this.#writer = controller;
          // At once; `abort()` of the sink would wait for the write or close that is under way.
          const { signal } = controller as unknown as { signal: AbortSignal };
          signal.addEventListener('abort', () => this.#abort(signal.reason));
        },
        write: (chunk) => this.#write(chunk),
        close: () => this.#endWriting(),
      },
      { highWaterMark, size: byteLength },
    );
    // A write is done once it has left, so that its buffer may be used again.
    transport.setWriteBufferLimits({ high: 0 });
    this.#writingPaused = transport.getWriteBufferSize() > 0;
  }

  // --- the protocol ---

  dataReceived(data: Uint8Array): void {
    if (this.#readingEnded) return;
    this.#reader.enqueue(ownedBytes(data));
    if ((this.#reader.desiredSize ?? 0) <= 0) this.#transport.pauseReading();
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
    // Both streams have been told already: they asked for it, or the loop was closed.
    if (this.#lost) return;
    if (error !== null) {
      this.#broken(error);
      return;
    }
    // An end that was being sent has been sent. What else is open was closed by somebody else, or has no
    // half-close.
    if (this.#writingEnded) this.#finish(null);
    this.#broken(closedError());
  }

  // --- reading ---

  #pull(): void {
    if (this.#fault !== undefined) this.#tellFault();
    else if (!this.#lost) this.#transport.resumeReading();
  }

  /** What comes is read and dropped: a peer that sends first and reads then is not held up. */
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
      this.#reader.close();
      // One who lent a buffer gets it back.
      this.#reader.byobRequest?.respond(0);
    } catch {
      // The last bytes are less than an element of the reader's own buffer: the readable has failed by this
      // error, and alone.
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
      // A stream that has failed once takes nothing more: nor can its other direction be left alone.
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

  /** The writable has failed, or is told by itself that it was aborted. */
  #abort(reason: unknown): void {
    if (this.#lost) return;
    this.#transport.abort();
    this.#lose(reason);
  }

  // --- ending ---

  #broken(error: unknown): void {
    if (!this.#writingEnded || this.#unfinished !== null) this.#writer.error(error);
    this.#lose(error);
  }

  #tellFault(): void {
    if (this.#readingEnded || this.#reader.desiredSize !== this.#highWaterMark) return;
    this.#readingEnded = true;
    this.#reader.error(this.#fault);
  }

  #lose(error: unknown): void {
    this.#lost = true;
    this.#forgetLoop();
    this.#writingEnded = true;
    this.#finish(error);
    if (this.#readingEnded) return;
    this.#fault = error;
    this.#tellFault();
  }
}

function byteLength(chunk: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk);
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}

/**
 * A byte stream takes the memory of what it is given away from all others: a part of a larger buffer is
 * copied.
 */
function ownedBytes(data: Uint8Array): Uint8Array {
  return data.byteLength === data.buffer.byteLength ? data : new Uint8Array(data);
}
