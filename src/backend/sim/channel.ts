/**
 * One end of a byte stream in the kernel of a simulated host, as the system calls show it: a TCP socket, a
 * unix socket, or the end of a pipe. Raw streams (stream.ts) and plain sockets (socket.ts) are faces of it.
 *
 * It never calls back from within a method. Its events come from the timeline.
 */
import type { SocketAddress } from '../../base/address.ts';

export interface ChannelEvents {
  /** Data has arrived, or the peer's FIN. Called again only after a read has left nothing. */
  onReadable(): void;
  /** There is room again, after a write that was not accepted as a whole. */
  onWritable(): void;
  /**
   * The connection has failed: a reset, a timeout, a reader that is gone. Data that arrived before can be
   * read.
   */
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
  /** Whether a write would be accepted, at least in part, or would fail. */
  readonly writable: boolean;
  /** The error that ended the connection. */
  readonly error: Error | null;
  /** Absent for pipes and unix sockets. */
  readonly options?: KernelOptions;
  /**
   * Removes up to `length` bytes from what has arrived. Returns null if nothing is there. The caller owns the
   * memory.
   */
  read(length: number): Uint8Array | null;
  /**
   * Copies the data. Returns the number of bytes that were accepted. Throws the system's error, for example
   * `EPIPE`.
   */
  write(data: Uint8Array): number;
  /**
   * Writes all chunks but their first `skip` bytes in one system call, as {@link write}. Absent: each chunk
   * is a write of its own.
   */
  writeMany?(chunks: readonly Uint8Array[], skip: number): number;
  /** Sends FIN after the accepted bytes. */
  shutdownWrite(): void;
  /** Reads find the end behind what has arrived. */
  shutdownRead(): void;
  /** Closes this end; accepted bytes are still sent. With unread data, TCP sends RST, as Linux does. */
  close(): void;
  /** Closes this end at once, by RST if there is one. */
  reset(): void;
}

/** The options of a socket, by the system's numbers. The methods throw the system's error: `ENOPROTOOPT`. */
export interface KernelOptions {
  get(level: number, option: number): number | Uint8Array;
  set(level: number, option: number, value: number | Uint8Array): void;
}
