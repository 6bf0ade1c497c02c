/**
 * `loop.sendfile`: a file through a transport's own buffer, a piece at a time. No host has a system call for
 * it that JavaScript could make; but so it works over every transport, and nothing of the transport is taken
 * from its protocol.
 */
import { InvalidStateError, SendfileNotAvailableError } from '../../base/errors.ts';
import { invalidArgType } from '../../base/validate.ts';
import { checkOwn } from '../../loop/ownership.ts';
import type { Loop } from '../../loop/types.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import type { FilePart, OpenFile, SendfileOptions, SendfileSource } from '../open-file.ts';
import { checkedPart, openFile } from '../open-file.ts';
import { TlsStream } from '../tls/tls-stream.ts';
import type { WriteTransport } from '../transport.ts';

/** A transport that tells when it has room, and lets a file be written by nobody else. */
interface Sink extends WriteTransport {
  _sendsFile: boolean;
  _whenWritable(): Future<void>;
  _writeFile(piece: Uint8Array): void;
}

/** Bytes that are read at once. One such piece is read ahead while another one leaves. */
const PIECE_BYTES = 256 * 1024;

/** See `BaseEventLoop.sendfile`. */
export function sendfile(
  loop: Loop,
  transport: WriteTransport,
  source: SendfileSource,
  options: SendfileOptions,
): Future<number> {
  if (!isSink(transport)) throw invalidArgType('transport', transport, 'a transport that writes');
  checkOwn('transport', transport, loop);
  const part = checkedPart(loop, source, options);
  const { signal } = options;
  // An aborted signal starts nothing.
  if (signal?.aborted) return cancelOnAbort(new Future<number>(loop), signal);
  checkFree(transport);
  transport._sendsFile = true;
  return cancelOnAbort(
    operation(loop, 'sendfile', async () => {
      let file: OpenFile | null = null;
      try {
        if (!part.fallback) throw notAvailable();
        await transport._whenWritable();
        file = await openFile(loop, source);
        return await copy(file, transport, part);
      } finally {
        transport._sendsFile = false;
        file?.close();
      }
    }),
    signal,
  );
}

function checkFree(transport: Sink): void {
  if (transport._sendsFile) {
    throw new InvalidStateError('sendfile(): a file is being sent over this transport already');
  }
  if (transport.getProtocol() instanceof TlsStream) {
    throw new InvalidStateError(
      'sendfile(): this connection is encrypted: use the transport that startTls() answered',
    );
  }
}

function notAvailable(): Error {
  return new SendfileNotAvailableError(
    'sendfile(): no system call writes to the buffer of a transport: allow the fallback, or use a Socket and sockSendfile()',
  );
}

/** Answers how much was sent: less than `count` where the file ends before. */
async function copy(file: OpenFile, sink: Sink, { offset, count }: FilePart): Promise<number> {
  let sent = 0;
  let piece: Buffer | null = null;
  while (sent < count) {
    piece ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
    const length = await file.read(piece, Math.min(piece.length, count - sent), offset + sent);
    if (length === 0) break;
    await sink._whenWritable();
    sink._writeFile(piece.subarray(0, length));
    sent += length;
    // The transport has it until it was flushed.
    if (sink.getWriteBufferSize() > 0) piece = null;
  }
  await sink._whenWritable();
  return sent;
}

function isSink(transport: unknown): transport is Sink {
  return typeof (transport as Partial<Sink> | null)?._whenWritable === 'function';
}
