/**
 * `loop.sendfile`: a file through a transport's own buffer, a piece at a time. No host has a system call for it that JavaScript
 * could make; but so it works over every transport, and nothing of the transport is taken from its protocol.
 */
import { constants, promises } from 'node:fs';
import { InvalidStateError } from '../base/errors.ts';
import { checkInteger, checkOptions, checkSignal, invalidArgType, outOfRange } from '../base/validate.ts';
import { rememberOrigin } from '../loop/origins.ts';
import type { Owned } from '../loop/ownership.ts';
import { checkOwn } from '../loop/ownership.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import type { SignalOptions } from '../tasks/abort-signal.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { operation } from '../tasks/operation.ts';
import { HostRequest } from './host-request.ts';
import type { WriteTransport } from './transport.ts';

/** What can be sent: the path of a file, or one that is open. */
export type SendfileSource = string | URL | promises.FileHandle;

export interface SendfileOptions extends SignalOptions {
  /** Bytes: where in the file to begin. Default: 0. */
  offset?: number;
  /** Bytes: how many to send. Default: all of them. */
  count?: number | null;
}

/** A transport that tells when it has room. */
interface Sink extends WriteTransport {
  _whenWritable(): Future<void>;
}

/** Bytes that are read at once. One such piece is read ahead while another one leaves. */
const PIECE_BYTES = 256 * 1024;

/** Over which a file is being sent. */
const busy: WeakSet<object> = new WeakSet();

/** See `BaseEventLoop.sendfile`. */
export function sendfile(
  loop: Loop,
  transport: WriteTransport,
  source: SendfileSource,
  options: SendfileOptions,
): Future<number> {
  checkOptions('options', options, ['offset', 'count', 'signal']);
  const { offset = 0, count = null, signal } = options;
  checkInteger('options.offset', offset, 0, Number.MAX_SAFE_INTEGER);
  if (count !== null) checkInteger('options.count', count, 1, Number.MAX_SAFE_INTEGER);
  checkSignal('options.signal', signal);
  if (!isSink(transport)) throw invalidArgType('transport', transport, 'a transport that writes');
  checkOwn('transport', transport, loop);
  if (typeof source !== 'string' && !(source instanceof URL) && !isFileHandle(source)) {
    throw invalidArgType('file', source, 'a path or a FileHandle');
  }
  if (typeof source === 'string' && source.includes('\0')) {
    throw outOfRange('file', source, 'a path without null bytes');
  }
  if (source instanceof URL && source.protocol !== 'file:') {
    throw outOfRange('file', source.href, 'the URL of a file (file:)');
  }
  checkSupports(loop, 'files');
  // An aborted signal starts nothing.
  if (signal?.aborted) return cancelOnAbort(new Future<number>(loop), signal);
  if (busy.has(transport)) {
    throw new InvalidStateError('sendfile(): a file is being sent over this transport already');
  }
  busy.add(transport);
  return cancelOnAbort(
    operation(loop, 'sendfile', async () => {
      let file: OpenFile | null = null;
      try {
        await transport._whenWritable();
        file = await openFile(loop, source);
        return await copy(file, transport, offset, count ?? Number.POSITIVE_INFINITY);
      } finally {
        busy.delete(transport);
        file?.close();
      }
    }),
    signal,
  );
}

/** Answers how much was sent: less than `count` where the file ends before. */
async function copy(file: OpenFile, sink: Sink, offset: number, count: number): Promise<number> {
  let sent = 0;
  let piece: Buffer | null = null;
  while (sent < count) {
    piece ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
    const length = await file.read(piece, Math.min(piece.length, count - sent), offset + sent);
    if (length === 0) break;
    await sink._whenWritable();
    sink.write(piece.subarray(0, length));
    sent += length;
    // The transport has it until it was flushed.
    if (sink.getWriteBufferSize() > 0) piece = null;
  }
  await sink._whenWritable();
  return sent;
}

/** Opens a path. One that is open already stays its owner's. */
async function openFile(loop: Loop, source: SendfileSource): Promise<OpenFile> {
  if (typeof source !== 'string' && !(source instanceof URL)) return new OpenFile(loop, source, null);
  // A FIFO without a writer would hold the thread that opens it.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  const handle = await HostRequest.ask<promises.FileHandle>(
    loop,
    `opening ${String(source)}`,
    closeQuietly,
    (request) => {
      promises.open(source, flags).then(
        (opened) => request.succeed(opened),
        (error) => request.fail(error),
      );
      return () => {};
    },
  );
  return new OpenFile(loop, handle, String(source));
}

/** The file, for as long as it is being sent. */
class OpenFile implements Owned {
  readonly #loop: Loop;
  readonly #handle: promises.FileHandle;
  /** Null: it is the user's, who closes it. */
  readonly #name: string | null;

  constructor(loop: Loop, handle: promises.FileHandle, name: string | null) {
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#handle = handle;
    this.#name = name;
    loop._owned.resources.add(this);
  }

  /** At a position of its own: an open file's own position is not moved. */
  read(buffer: Buffer, length: number, position: number): Future<number> {
    const reading = new Future<number>(this.#loop);
    this.#handle.read(buffer, 0, length, position).then(
      ({ bytesRead }) => {
        if (!reading.done()) reading.setResult(bytesRead);
      },
      (error) => {
        if (!reading.done() && !this.#loop.isClosed()) reading.setException(error);
      },
    );
    return reading;
  }

  close(): void {
    this.#loop._owned.resources.delete(this);
    if (this.#name !== null) closeQuietly(this.#handle);
  }

  /** @internal */
  _describe(): string {
    return `${this.#name ?? 'a file'} was still being sent`;
  }

  /** @internal */
  _abandon(): void {
    this.close();
  }
}

/** Waits for a read that is under way. It was only read, so there is nothing that a failure could mean. */
function closeQuietly(handle: promises.FileHandle): void {
  handle.close().catch(() => {});
}

function isSink(transport: unknown): transport is Sink {
  return typeof (transport as Partial<Sink> | null)?._whenWritable === 'function';
}

/** The class is not exported. */
function isFileHandle(source: unknown): boolean {
  const { fd, datasync } = (source ?? {}) as { fd?: unknown; datasync?: unknown };
  return typeof fd === 'number' && typeof datasync === 'function';
}
