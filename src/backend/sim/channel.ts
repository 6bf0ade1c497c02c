/**
 * One end of a byte stream in the kernel of a simulated host, as the system calls show it: a TCP socket, a unix
 * socket, or the end of a pipe. Raw streams (stream.ts) and plain sockets (socket.ts) are faces of it.
 *
 * It never calls back from within a method. Its events come from the timeline.
 */
import type { SocketAddress } from '../../base/address.ts';

export interface ChannelEvents {
  /** Data has arrived, or the peer's FIN. Called again only after a read found nothing left. */
  onReadable(): void;
  /** There is room again, after a write that was not accepted as a whole. */
  onWritable(): void;
  /** The connection has failed: a reset, a timeout, a reader that is gone. Nothing more can be read or written. */
  onError(error: Error): void;
}

export interface Channel {
  readonly family: number;
  readonly sockname: SocketAddress | null;
  readonly peername: SocketAddress | null;
  events: ChannelEvents | null;
  /** Bytes that can be read now. */
  readonly readable: number;
  /** The peer has sent FIN, and everything before it was read. */
  readonly ended: boolean;
  /** Whether a write would be accepted, at least in part. */
  readonly writable: boolean;
  /** The error that ended the connection. */
  readonly error: Error | null;
  /** Removes up to `length` bytes from what has arrived. Returns null if nothing is there. */
  read(length: number): Uint8Array | null;
  /** Returns the number of bytes that were accepted. Throws the system's error, for example `EPIPE`. */
  write(data: Uint8Array): number;
  /** Sends FIN after the accepted bytes. */
  shutdownWrite(): void;
  /** Drops what arrives from now on. */
  shutdownRead(): void;
  /** Closes this end; accepted bytes are still sent. With unread data, TCP sends RST, as Linux does. */
  close(): void;
  /** Closes this end at once, by RST if there is one. */
  reset(): void;
}
