/** `toReadableStream` and `toWritableStream`: a reader or a writer as a Web stream. */
import type { ReadableByteStreamController, WritableStreamDefaultController } from 'node:stream/web';
import { ReadableStream, WritableStream } from 'node:stream/web';
import { LoopError } from '../base/errors.ts';
import { checkData, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import type { WriteBufferLimits } from '../net/transport.ts';
import { DoneCallback } from '../tasks/done-callback.ts';
import type { Future } from '../tasks/future.ts';
import { closedError, whenLoopCloses } from './adapter.ts';
import { byteLength, DEFAULT_HIGH_WATER_MARK_BYTES, ownedBytes } from './web-streams.ts';

/** The part of a `StreamReader` that `toReadableStream` uses. */
export interface ReadableSource {
  read(n: number): Future<Buffer>;
}

/** The part of a `StreamWriter` that `toWritableStream` uses. */
export interface WritableSink {
  readonly transport: { abort(): void; setWriteBufferLimits(limits?: WriteBufferLimits): void };
  write(data: string | Uint8Array): void;
  drain(): Future<void>;
  canWriteEof(): boolean;
  writeEof(): void;
  close(): void;
  isClosing(): boolean;
  waitClosed(): Future<void>;
}

/**
 * Makes a Web byte stream of a `StreamReader`. It reads only on demand, so the reader's own limit is the only
 * buffer.
 *
 * - `cancel()` ends a pending read and closes nothing: the reader keeps its data, and may be read again.
 * - An error of the connection fails the stream, and so does another read that is waiting.
 * - While the loop does not run, no data comes. `loop.close()` fails a pending read with `ERR_LOOP_CLOSED`.
 *
 * @param reader a `StreamReader` of the running loop
 * @returns a byte stream: `getReader({ mode: 'byob' })` works
 * @throws TypeError; LoopError `ERR_NO_RUNNING_LOOP`
 *
 * @example
 * ```ts
 * import { run, StreamReader } from 'gyre';
 * import { toReadableStream } from 'gyre/node';
 *
 * await run(async () => {
 *   const reader = new StreamReader();
 *   reader.feedData('hello');
 *   reader.feedEof();
 *   for await (const data of toReadableStream(reader)) console.log(Buffer.from(data).toString()); // hello
 * });
 * ```
 */
export function toReadableStream(reader: ReadableSource): ReadableStream<Uint8Array> {
  if (typeof reader?.read !== 'function') throw invalidArgType('reader', reader, 'a StreamReader');
  const loop = runningLoop();
  let reading: Future<Buffer> | null = null;
  const pull = async (controller: ReadableByteStreamController): Promise<void> => {
    reading = reader.read(DEFAULT_HIGH_WATER_MARK_BYTES);
    const pending = new LoopError('ERR_LOOP_CLOSED', 'the event loop of this reader was closed');
    const forget = whenLoopCloses(loop, () => controller.error(pending));
    await settled(reading);
    forget();
    const read = reading;
    reading = null;
    // `cancel()` has ended the stream, or the reader was given away.
    if (read.cancelled()) return;
    const data = read.result();
    if (data.length > 0) {
      controller.enqueue(ownedBytes(data));
      return;
    }
    controller.close();
    // Gives a lent buffer back.
    controller.byobRequest?.respond(0);
  };
  return new ReadableStream({
    type: 'bytes',
    pull,
    cancel: () => void reading?.cancel(),
  }) as ReadableStream<Uint8Array>;
}

/**
 * Makes a Web stream of a `StreamWriter`.
 *
 * - A `write()` is done once its data has left; its buffer may then be used again. For that, the high-water
 *   mark of the writer's transport becomes zero.
 * - `close()` calls `writeEof()`, and is done once everything has left. Without half-close (TLS) it closes
 *   the connection.
 * - `abort()` aborts the connection at once. A pending write fails.
 * - If the connection is lost, the stream fails with its error, or with `ERR_TRANSPORT_CLOSED`.
 *
 * @param writer a `StreamWriter` of the running loop
 * @returns a stream of bytes, and of strings as UTF-8
 * @throws TypeError; LoopError `ERR_NO_RUNNING_LOOP`, and `ERR_TRANSPORT_CLOSED` if the writer is closing
 *
 * @example
 * ```ts
 * import { openConnection, run, startServer } from 'gyre';
 * import { toWritableStream } from 'gyre/node';
 *
 * await run(async () => {
 *   await using server = await startServer((reader, writer) => reader.pipeTo(writer), '127.0.0.1', 0);
 *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
 *   const [reader, writer] = await openConnection('127.0.0.1', port);
 *   await new Blob(['hello']).stream().pipeTo(toWritableStream(writer));
 *   console.log((await reader.read()).toString()); // hello
 *   writer.close();
 *   server.closeClients();
 * });
 * ```
 */
export function toWritableStream(writer: WritableSink): WritableStream<string | Uint8Array> {
  if (typeof writer?.drain !== 'function' || typeof writer.transport?.abort !== 'function') {
    throw invalidArgType('writer', writer, 'a StreamWriter');
  }
  const loop = runningLoop();
  if (writer.isClosing()) throw closedError();
  writer.transport.setWriteBufferLimits({ high: 0 });
  let ended = false;
  const start = (controller: WritableStreamDefaultController): void => {
    const fail = (error: unknown): void => {
      if (!ended) controller.error(error);
    };
    const forget = whenLoopCloses(loop, () =>
      fail(new LoopError('ERR_LOOP_CLOSED', 'the event loop of this writer was closed')),
    );
    new DoneCallback(writer.waitClosed(), (closed) => {
      forget();
      fail(closed.cancelled() ? closedError() : (closed.exception() ?? closedError()));
    });
    // The sink's own `abort()` would wait for the pending write.
    const { signal } = controller as unknown as { signal: AbortSignal };
    signal.addEventListener('abort', () => writer.transport.abort());
  };
  const write = async (chunk: string | Uint8Array): Promise<void> => {
    checkData('chunk', chunk);
    if (writer.isClosing()) throw closedError();
    writer.write(chunk);
    await finished(writer.drain());
  };
  const close = async (): Promise<void> => {
    ended = true;
    if (writer.canWriteEof()) {
      writer.writeEof();
      await finished(writer.drain());
    } else {
      writer.close();
      await finished(writer.waitClosed());
    }
  };
  return new WritableStream(
    { start, write, close },
    { highWaterMark: DEFAULT_HIGH_WATER_MARK_BYTES, size: byteLength },
  );
}

/** Waits for a future from code of the host. An `await` would make it part of the task that runs the code. */
function settled(future: Future<unknown>): Promise<void> {
  return new Promise((resolve) => {
    new DoneCallback(future, () => resolve());
  });
}

async function finished(future: Future<unknown>): Promise<void> {
  await settled(future);
  future.result();
}
