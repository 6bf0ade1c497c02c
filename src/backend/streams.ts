/** Connected byte streams, and the sockets and pipes that give them. Types only. */
import type { SocketAddress } from '../base/address.ts';
import type { RawRequest } from './request.ts';
import type { RawSocket, SystemOptions } from './sockets.ts';

/** The sockets of TCP, or of unix. A TCP stream begins with Nagle's algorithm switched off. */
export interface StreamSockets {
  /** Starts to connect. */
  connect(target: ConnectTarget, events: ConnectEvents): RawRequest;
  /** Binds and listens. */
  listen(target: ListenTarget, events: ListenEvents): RawListener;
  /** Takes ownership of a connected socket of the host. Throws an UnusableError for any other value. */
  adopt(socket: unknown): RawStream;
}

/** Unix sockets: the addresses are paths. */
export interface UnixSockets extends StreamSockets {
  /** Returns the kind of the file at `path`, and an identity that another file at the path does not have. */
  fileAt(path: string): SocketFileFacts;
  /** Removes the socket file with this identity. Returns false if another file is there, or it cannot. */
  removeFile(path: string, identity: string): boolean;
}

export interface SocketFileFacts {
  readonly kind: 'none' | 'socket' | 'other';
  readonly identity: string;
}

/** Pipes, FIFOs, TTYs and character devices. */
export interface Pipes {
  /**
   * Takes ownership of one direction of a pipe, which is a file descriptor or an object of the host. Throws
   * an UnusableError for any other value.
   */
  open(pipe: unknown, direction: 'read' | 'write'): RawStream;
}

export interface ConnectTarget {
  address: SocketAddress;
  local: SocketAddress | null;
}

export interface ConnectEvents {
  onConnect(stream: RawStream): void;
  onError(error: Error): void;
}

/** A connected byte stream. It reads nothing before `readStart()`. */
export interface RawStream {
  /** Sets the receiver of the events. Called once, before any other method. */
  open(events: StreamEvents): void;
  readStart(): void;
  /** Stops reading. Data and an end in flight may still come; the transport holds them. */
  readStop(): void;
  /**
   * Reads the next data into `buffer`, once, and reports it with `onReadInto`. null takes the buffer back.
   * Data that arrives without a buffer, or does not fit into it, comes with `onRead`. Absent if the host
   * cannot do it.
   */
  readInto?(buffer: Uint8Array | null): void;
  /**
   * Sends the chunks, none of which is empty, in one system call if the host can. Returns true if the kernel
   * accepted all bytes. Returns false if the backend keeps the array and its chunks; it calls `onWritten`
   * when all of them were sent, and the caller must not write until then. If the memory of a chunk is
   * transferred meanwhile, the stream ends with `EFAULT`.
   */
  write(chunks: Uint8Array[]): boolean;
  /**
   * The number of queued bytes that justifies a system call before the end of the turn. Absent: all writes
   * should wait for the end of the turn.
   */
  readonly promptBytes?: number;
  /** Sends FIN after the data that was written. */
  shutdown(): void;
  /** Closes the stream after sending the data that was written. */
  close(): void;
  /** Closes the stream at once, with RST if the stream has one. */
  abort(): void;
  info(): StreamInfo;
}

export interface StreamEvents {
  /** The receiver owns the buffer. */
  onRead(data: Buffer): void;
  /** `length` bytes were stored in the buffer of `readInto`. */
  onReadInto?(length: number): void;
  /**
   * The peer has sent FIN. Called at most once, and no data follows. For the write end of a pipe: the reader
   * has gone, and writing fails from now on.
   */
  onEnd(): void;
  onWritten(): void;
  /** The last call, exactly once. `error` is the error that ended the stream, or null. */
  onClose(error: Error | null): void;
}

export interface StreamInfo {
  readonly family: number;
  readonly sockname: SocketAddress | null;
  readonly peername: SocketAddress | null;
  /** The host's own object, for `getExtraInfo('socket')`; null if it is not a socket. */
  readonly handle: SocketControl | null;
  /** The direction in which bytes can flow. */
  readonly direction: 'both' | 'read' | 'write';
  /** True if one direction can end before the other. */
  readonly halfClose: boolean;
  /** More facts for `getExtraInfo`, by name. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** The methods behind a `TransportSocket`. */
export interface SocketControl {
  fileno(): number;
  /** Absent, as is `setKeepAlive`: it is no connection. */
  setNoDelay?(on: boolean): void;
  setKeepAlive?(on: boolean, delaySeconds: number): void;
  /** The options of the file descriptor. Absent if the host does not show descriptors. */
  readonly system?: SystemSocket;
}

/** A socket that a transport or a server reads and writes. */
export interface SystemSocket extends SystemOptions {
  /** Returns another descriptor of the same socket. Throws the system's error. */
  duplicate(): RawSocket;
}

export interface ListenTarget {
  address: SocketAddress | null;
  /**
   * A listening socket of the host, whose ownership the backend takes; then there is no address. The call
   * throws an UnusableError for any other value.
   */
  socket: unknown;
  backlog: number;
  reusePort: boolean;
  /** True: IPv6 sockets accept only IPv6, and a server has one socket for each family. */
  ipv6Only: boolean;
  /** True: it accepts connections at once. False: it accepts them after `serve()`. */
  serves: boolean;
}

export interface ListenEvents {
  /** The socket is bound. It also listens, if `serves` is true. */
  onListening(): void;
  /**
   * A connection was accepted. If the host cannot bind without listening, connections arrive even before
   * `serve()`, up to the size of the backlog.
   */
  onConnection(stream: RawStream): void;
  /**
   * Listening failed (then `onListening` is not called), or a connection could not be accepted. In the second
   * case the listener accepts nothing until `acceptStart()`, because the cause also affects the next
   * connection.
   */
  onError(error: Error): void;
}

export interface RawListener {
  sockname(): SocketAddress | null;
  fileno(): number;
  /** The options of the file descriptor. Absent if the host does not show descriptors. */
  readonly system?: SystemSocket;
  /** Begins to accept, if the target's `serves` was false. Throws the system's error. */
  serve(): void;
  /** Accepts again after `onError`, or after `acceptStop()`. */
  acceptStart(): void;
  /**
   * Leaves new connections to the kernel, until `acceptStart()`. Connections in flight may still be reported.
   * A host that accepts by itself (`node:net`) turns new clients away.
   */
  acceptStop(): void;
  /** Stops accepting. Accepted streams stay open. */
  close(): void;
}
