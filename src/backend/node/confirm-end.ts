/**
 * Finds out whether an end of file of Node was a reset.
 *
 * If data and a reset come together, libuv reports the data, and then an end of file, as for an orderly end.
 * Bytes that the peer had sent may be lost. The kernel still has the error, and gives it to the next read.
 * Behind an orderly end, the next read finds the end of file again, of which Node tells nothing.
 */
import type { Socket } from 'node:net';
import { hostSetImmediate } from '../../base/host.ts';

/** The members of a socket of Node that this file uses. Bun's sockets don't have the method. */
interface Internals {
  readonly _handle?: { readStart?(): number } | null;
  readonly _readableState: { autoDestroy: boolean };
}

/**
 * Call it when the socket emits `end`.
 *
 * @param confirmed called if it was an end of file. If it was a reset, the socket closes with the error.
 */
export function confirmEnd(socket: Socket, confirmed: () => void): void {
  const { _handle: handle, _readableState: state } = socket as unknown as Internals;
  // A write has met the reset. It has taken the error, with which the socket will close.
  if (socket.errored) return;
  if (typeof handle?.readStart !== 'function') {
    confirmed();
    return;
  }
  // Keep the socket open for the answer, also if its other direction has ended.
  const { autoDestroy } = state;
  state.autoDestroy = false;
  handle.readStart();
  // The poll for I/O that has the answer is before the second check phase.
  hostSetImmediate(() =>
    hostSetImmediate(() => {
      state.autoDestroy = autoDestroy;
      if (socket.errored) return;
      confirmed();
      if (autoDestroy && socket.writableFinished) socket.destroy();
    }),
  );
}
