/**
 * Reads the ciphertext of a TLS session from a socket of Node with little garbage.
 *
 * For each read of a socket, Node asks for 64 KiB. Since Node 24, a read and the decrypted data share a block
 * of 64 KiB, so that after each decrypted record the next read needs a new block. A session then costs 64 KiB
 * of garbage a record, and V8 collects garbage most of the time. So the socket reads into memory of its own,
 * and this file copies what came. A TLS socket of Node that has the handle itself needs neither.
 *
 * The option `onread` of `net.connect()` does the same, but a socket that a server has accepted cannot have
 * it.
 */
import type { Socket } from 'node:net';

/** Bytes, as libuv asks for. */
const READ_BYTES = 65_536;

/** The members of a handle of Node that this file uses. */
interface Handle {
  /** Bytes that were read so far. */
  readonly bytesRead?: number;
  reading: boolean;
  onread: (this: Handle, data: ArrayBuffer | undefined) => unknown;
  useUserBuffer?(buffer: Uint8Array): void;
  readStop(): number;
}

/** All sockets of the thread read into it, because each read is copied before the next one. */
let shared: Buffer | null = null;

/** Call it once for a socket. Elsewhere than in Node it does nothing. */
export function readWithoutGarbage(socket: Socket): void {
  const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
  if (!isNode() || typeof handle?.useUserBuffer !== 'function' || handle.bytesRead === undefined) return;
  shared ??= Buffer.allocUnsafeSlow(READ_BYTES);
  const memory = shared;
  const { onread } = handle;
  let before = handle.bytesRead;
  handle.useUserBuffer(memory);
  handle.onread = (data) => {
    const count = (handle.bytesRead as number) - before;
    before += count;
    // The end, or an error, whose number only Node's function can read.
    if (count === 0 || socket.destroyed) return onread.call(handle, data);
    (socket as Socket & { _unrefTimer?(): void })._unrefTimer?.();
    if (!socket.push(Buffer.from(memory.subarray(0, count)))) {
      handle.reading = false;
      handle.readStop();
    }
    return undefined;
  };
}

/** Deno and Bun have handles with some of these members, which do other things. */
function isNode(): boolean {
  return process.versions.deno === undefined && process.versions.bun === undefined;
}
