/** `loop.sockSendfile`: sends a file by the system call for it, or piece by piece. */

import { SOCK_STREAM } from '../../base/constants.ts';
import { SendfileNotAvailableError } from '../../base/errors.ts';
import { outOfRange } from '../../base/validate.ts';
import type { Loop } from '../../loop/types.ts';
import { cancelOnAbort } from '../../tasks/abort-signal.ts';
import { Future } from '../../tasks/future.ts';
import { operation } from '../../tasks/operation.ts';
import type { FilePart, OpenFile, SendfileOptions, SendfileSource } from '../open-file.ts';
import { checkedPart, openFile } from '../open-file.ts';
import { call, checkSocket, sockSendall, WAIT } from './sock-calls.ts';
import type { Socket } from './socket.ts';

/** Bytes of one call. A read from the disk blocks the loop for as long as one call takes. */
const PIECE_BYTES = 256 * 1024;

/** The system cannot send this file: it cannot map it, or the file has no positions. */
const NOT_AVAILABLE: ReadonlySet<string> = new Set(['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ESPIPE']);

/** See `BaseEventLoop.sockSendfile`. */
export function sockSendfile(
  loop: Loop,
  sock: Socket,
  source: SendfileSource,
  options: SendfileOptions,
): Future<number> {
  checkSocket(loop, sock);
  if (sock.type !== SOCK_STREAM) throw outOfRange('sock', sock, 'a socket of type SOCK_STREAM');
  const part = checkedPart(loop, source, options);
  const { signal } = options;
  // If the signal is aborted already, nothing may start.
  if (signal?.aborted) return cancelOnAbort(new Future<number>(loop), signal);
  return cancelOnAbort(
    operation(loop, 'sockSendfile', async () => {
      const file = await openFile(loop, source);
      try {
        return await sendBySystem(loop, sock, file, part);
      } catch (error) {
        if (!(error instanceof SendfileNotAvailableError) || !part.fallback) throw error;
        return await copy(loop, sock, file, part);
      } finally {
        file.close();
      }
    }),
    signal,
  );
}

function sendBySystem(loop: Loop, sock: Socket, file: OpenFile, { offset, count }: FilePart): Future<number> {
  let sent = 0;
  return call(loop, sock, 'writing', 'sending a file to', {}, (raw) => {
    const bytes = sendPiece(
      () => raw.sendFile(file.fd, offset + sent, Math.min(PIECE_BYTES, count - sent)),
      sent,
    );
    // The end of the file.
    if (bytes === 0) return sent;
    sent += bytes ?? 0;
    return sent === count ? sent : WAIT;
  });
}

function sendPiece(send: () => number | null, sent: number): number | null {
  try {
    return send();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (sent > 0 || code === undefined || !NOT_AVAILABLE.has(code)) throw error;
    throw new SendfileNotAvailableError(
      'sockSendfile(): the system call for sending files does not support this file',
      {
        cause: error,
      },
    );
  }
}

/** Returns the number of bytes that were sent: less than `count` if the file ends before. */
async function copy(loop: Loop, sock: Socket, file: OpenFile, { offset, count }: FilePart): Promise<number> {
  const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let sent = 0;
  while (sent < count) {
    const length = await file.read(piece, Math.min(piece.length, count - sent), offset + sent);
    if (length === 0) break;
    await sockSendall(loop, sock, piece.subarray(0, length), {});
    sent += length;
  }
  return sent;
}
