/**
 * `loop.sendfile`: sends a file through the write buffer of a transport, piece by piece. JavaScript has no
 * system call for this on any host. Through the buffer it works over every transport, and the transport's
 * protocol stays as it is.
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

/** A transport that reports when it is writable, and that rejects other writes while a file is being sent. */
interface Sink extends WriteTransport {
  _sendsFile: boolean;
  _whenWritable(): Future<void>;
  _writeFile(piece: Uint8Array): void;
}

/** Bytes of one piece. While one piece is being sent, the next is read. */
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
  // If the signal is aborted already, nothing may start.
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
      'sendfile(): this transport carries TLS data; use the transport that startTls() returned',
    );
  }
}

function notAvailable(): Error {
  return new SendfileNotAvailableError(
    'sendfile(): no system call sends a file through a transport; allow the fallback, or use a Socket and sockSendfile()',
  );
}

/** Returns the number of bytes that were sent: less than `count` if the file ends before. */
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
    // The transport owns a piece that it has not sent completely.
    if (sink.getWriteBufferSize() > 0) piece = null;
  }
  await sink._whenWritable();
  return sent;
}

function isSink(transport: unknown): transport is Sink {
  return typeof (transport as Partial<Sink> | null)?._whenWritable === 'function';
}
