/**
 * The interface of a backend. Types only.
 *
 * A backend is small: a clock, two kinds of wake-up, and raw handles with callbacks. It does not know
 * protocols, water marks, close order or futures. Its interface is one of completion, not of readiness: the
 * caller asks it to read or write, and it reports when that is done.
 *
 * For every callback: the host calls it, never the method that requested it. After `close()` or `abort()`
 * only `onClose` is called, once, as the last callback.
 */
import type { AddressInfo, Inet4Address, Inet6Address, SocketAddress } from '../base/address.ts';

/** The capabilities of a backend. A caller can ask for each of them; there are no silent fallbacks. */
export interface BackendFeatures {
  /** TCP connections and servers. */
  readonly tcp: boolean;
  /** Several servers on one port (`SO_REUSEPORT`). */
  readonly reusePort: boolean;
  /** `TransportSocket.fileno()` returns the file descriptor. */
  readonly fileno: boolean;
  /** Unix sockets. */
  readonly unix: boolean;
  /** Unix sockets with a name in Linux's abstract namespace, `'\0name'`. */
  readonly abstractUnix: boolean;
  /** Pipes, FIFOs, TTYs and character devices by descriptor. */
  readonly pipes: boolean;
  /** UDP. */
  readonly datagrams: boolean;
  /** `getaddrinfo` and `getnameinfo`. */
  readonly names: boolean;
  /** TLS over any stream. */
  readonly tls: boolean;
  /** Child processes. */
  readonly subprocesses: boolean;
  /** Handlers for signals of the operating system. */
  readonly signals: boolean;
  /** Sending files over a connection. */
  readonly files: boolean;
  /** Running functions in threads and processes. */
  readonly executors: boolean;
  /** Readiness of any file descriptor. */
  readonly polling: boolean;
  /** Sockets without buffers, with the system's own calls. */
  readonly sockets: boolean;
}

/** A loop, as its host sees it. */
export interface Turns {
  /** Runs ready entries and due timers. */
  run(): void;
  /** Returns the earliest deadline on the clock of `Backend.time()`, or Infinity if there is none. */
  nextWhen(): number;
}

export interface Backend {
  /** `node`, `uv` or `sim`. */
  readonly name: string;
  readonly features: BackendFeatures;
  /** The smallest difference that the clock can show, in seconds. */
  readonly clockResolution: number;
  /** Returns the monotonic time in seconds. */
  time(): number;
  /**
   * Returns the real monotonic time in seconds, even if `time()` is virtual. Debug mode measures blocking
   * code with it.
   */
  realTime(): number;
  /** Keeps the host alive from now on, and lets it call `turns.run()`. */
  start(turns: Turns): void;
  /** Lets the process exit. The host calls nothing until the next `start`. */
  stop(): void;
  /**
   * Requests a call of `turns.run()` soon, from the host and not from within `wake()`. Several requests cause
   * one call.
   */
  wake(): void;
  /**
   * Sets the earliest deadline to `when`, on the clock of `time()`. The host calls `turns.run()` at that time
   * or soon after. It may also call it for an earlier value of the deadline. Infinity: there is no deadline.
   */
  wakeAt(when: number): void;
  /**
   * Runs the host's microtasks and ticks, and everything that they cause. Call it only from within
   * `turns.run()`.
   *
   * @param resume called by the host after they have run, if the return value is false
   * @returns true if they have run. false if the host must get the thread back to run them; then it calls
   *   `resume`
   */
  drain(resume: () => void): boolean;
  /**
   * Calls back after the host has run its own timers that are due now; soon, if `time()` is virtual. For a
   * deadline that must not come before a host timer that was set earlier with the same length.
   */
  afterHostTimers(callback: () => void): void;
  /**
   * Looks up names, as the system's `getaddrinfo` does. The layer above answers everything that needs no
   * look-up.
   */
  resolve(query: ResolveQuery, onDone: (error: Error | null, found: AddressInfo[]) => void): RawRequest;
  /** Looks up the names of an address, as the system's `getnameinfo` does. */
  nameOf(query: NameQuery, onDone: (error: Error | null, host: string, service: string) => void): RawRequest;
  /** Starts to connect. */
  connect(target: ConnectTarget, events: ConnectEvents): RawRequest;
  /** Takes ownership of a connected socket of the host. Throws a TypeError for any other value. */
  adopt(socket: unknown): RawStream;
  /** Binds and listens. */
  listen(target: ListenTarget, events: ListenEvents): RawListener;
  /**
   * Takes ownership of one direction of a pipe, which is a file descriptor or an object of the host. Throws a
   * TypeError for any other value.
   */
  openPipe(pipe: unknown, direction: 'read' | 'write'): RawStream;
  /** Opens a datagram socket. */
  datagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest;
  /** Starts a child process. */
  spawn(target: SpawnTarget, events: SpawnEvents): RawRequest;
  /**
   * The platform's signals by name. If it has `SIGRTMIN` and `SIGRTMAX`, the numbers between them are
   * signals, too.
   */
  readonly signals: Readonly<Record<string, number>>;
  /**
   * Calls back at each signal, instead of the signal's default action, until the request is cancelled. It
   * does not keep the process alive.
   *
   * @param signum one of {@link signals}. Throws a RangeError for a signal that cannot be handled, and a
   *   LoopError: `ERR_SIGNAL_SETUP` on a thread that receives no signals, `ERR_UNSUPPORTED` for a signal that
   *   the host cannot handle
   */
  signal(signum: number, callback: () => void): RawRequest;
  /**
   * Calls back at each signal as {@link signal} does, but only while the program itself has no listener for
   * it. On a thread that receives no signals, it never calls back.
   */
  interrupt(signum: number, callback: () => void): RawRequest;
  /**
   * Makes a TLS context from the host's own TLS options. Throws a TypeError for an invalid value, and the
   * host's error for an unusable key or certificate.
   *
   * @param ssl the host's options or secure context; true (only for a client): the default options
   */
  tlsContext(ssl: unknown, serverSide: boolean): TlsContext;
  /** Opens one side of a TLS session, which converts between plain and encrypted bytes. */
  wrapTls(target: TlsTarget, events: TlsEvents): RawTls;
  /**
   * Watches a file descriptor for readiness, level-triggered. Each descriptor has one watch. It watches
   * nothing until `want()` is called.
   *
   * @param onReady told what a reader and a writer would not have to wait for. A hang-up and an error set
   *   both flags, even if they were not wanted
   */
  poll(fd: number, onReady: (readable: boolean, writable: boolean) => void): RawPoll;
  /** Returns true if a stream, a listener or a datagram socket of the backend uses the descriptor. */
  usesDescriptor(fd: number): boolean;
  /**
   * Opens a socket, or takes ownership of one. If it throws the system's error, the caller still owns the
   * descriptor.
   */
  socket(target: SocketTarget): RawSocket;
  /** Releases the resources that the backend itself holds. */
  close(): void;
}

/** A pending operation. After `cancel()` it calls no callback. */
export interface RawRequest {
  cancel(): void;
}

export interface ResolveQuery {
  /**
   * A name or a literal address, which may have a zone. null: this machine, or every interface with
   * `AI_PASSIVE`.
   */
  host: string | null;
  /** A number, or the name of a service. */
  port: number | string;
  /** 0, `AF_INET` or `AF_INET6`. */
  family: number;
  /** 0: all types. */
  type: number;
  /** 0: all protocols. */
  proto: number;
  /** `AI_` flags. */
  flags: number;
}

export interface NameQuery {
  /**
   * An IPv4 or IPv6 address. The host is a literal in the system's spelling, and has a zone only if the scope
   * id is 0.
   */
  address: Inet4Address | Inet6Address;
  /** `NI_` flags. */
  flags: number;
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
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, delaySeconds: number): void;
  /** The options of the file descriptor. Absent if the host does not show descriptors. */
  readonly system?: SystemSocket;
}

/** The options of a socket. The methods throw the system's error, and `EBADF` after the close. */
export interface SystemOptions {
  getOption(level: number, option: number): number;
  getOption(level: number, option: number, length: number): Buffer;
  setOption(level: number, option: number, value: number | Uint8Array): void;
}

/** A socket that a transport or a server reads and writes. */
export interface SystemSocket extends SystemOptions {
  /** Returns another descriptor of the same socket. Throws the system's error. */
  duplicate(): RawSocket;
}

export interface ListenTarget {
  address: SocketAddress | null;
  /** A listening socket of the host, whose ownership the backend takes; then there is no address. */
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
  /** Accepts again after `onError`. */
  acceptStart(): void;
  /** Stops accepting. Accepted streams stay open. */
  close(): void;
}

export interface DatagramTarget {
  /** `AF_INET` or `AF_INET6`. */
  family: number;
  /** null: a free port on every interface. */
  local: SocketAddress | null;
  /** The socket is connected to this address: it sends only to it, and receives only from it. */
  remote: SocketAddress | null;
  /**
   * A bound socket of the host, whose ownership the backend takes; then there are no addresses. The call
   * throws a TypeError for any other value.
   */
  socket: unknown;
  reusePort: boolean;
  broadcast: boolean;
}

export interface DatagramOpenEvents {
  onOpen(socket: RawDatagram): void;
  onError(error: Error): void;
}

export interface Datagram {
  readonly data: Uint8Array;
  /** null: the socket's `remote`. */
  readonly address: SocketAddress | null;
}

/** A datagram socket. It receives nothing before `receiveStart()`. */
export interface RawDatagram {
  /** Sets the receiver of the events. Called once, before any other method. */
  open(events: DatagramEvents): void;
  receiveStart(): void;
  /**
   * Stops delivering. The host queues datagrams that arrive from now on, as long as it has room; later ones
   * are lost, as UDP permits.
   */
  receiveStop(): void;
  /**
   * Sends one datagram. Returns true if the kernel accepted it. Returns false if the backend keeps a copy; it
   * calls `onSent` when the copy was sent, and the caller must not send until then.
   *
   * @param address null: the socket's `remote`
   */
  send(data: Uint8Array, address: SocketAddress | null): boolean;
  /**
   * Copies a datagram into a batch, which `flush()` sends. Present if the host can send many at once. Returns
   * false if this datagram cannot be in the batch; the caller must flush the batch before it sends this
   * datagram.
   */
  gather?(data: Uint8Array, address: SocketAddress | null): boolean;
  /**
   * Sends the batch. Returns the datagrams for which the host has no room, in order; `send()` then waits
   * until there is room.
   */
  flush?(): Datagram[];
  /**
   * Closes the socket at once. It sends the batch, and drops datagrams that `send()` kept. Before `onClose`,
   * `onError` may still report earlier failures.
   */
  close(): void;
  info(): StreamInfo;
}

export interface DatagramEvents {
  /** The receiver owns the buffer. */
  onMessage(data: Buffer, address: SocketAddress): void;
  /** The datagram that `send()` kept was sent, or could not be sent. */
  onSent(error: Error | null): void;
  /** A datagram could not be sent, or the system learned that its receiver refused it. */
  onError(error: Error): void;
  /** The last call, exactly once. */
  onClose(error: Error | null): void;
}

/**
 * A descriptor of a child: a new pipe, /dev/null, the parent's own, another descriptor, a stream, or the
 * child's stdout.
 */
export type SpawnStdio =
  | { kind: 'pipe' }
  | { kind: 'null' }
  | { kind: 'inherit' }
  | { kind: 'fd'; fd: number }
  | { kind: 'stream'; stream: unknown }
  | { kind: 'stdout' };

export interface SpawnTarget {
  /** A program, or a command of the system's shell. */
  program: string;
  shell: boolean;
  /** The arguments without the program's own name. */
  args: readonly string[];
  argv0: string | null;
  cwd: string | URL | null;
  /** null: the environment of this process. */
  env: Readonly<Record<string, string>> | null;
  uid: number | null;
  gid: number | null;
  /** True: the child gets a session and a process group of its own. */
  detached: boolean;
  /** Indexed by the child's descriptor: stdin, stdout, stderr. */
  stdio: readonly [SpawnStdio, SpawnStdio, SpawnStdio];
  /** Descriptors of this process that the child gets under the same numbers. */
  passFds: readonly number[];
}

export interface SpawnEvents {
  onSpawn(child: RawProcess): void;
  /** The child could not be started. `onSpawn` is not called. */
  onError(error: Error): void;
}

export interface RawProcess {
  readonly pid: number;
  /**
   * The parent's ends of the child's pipes, indexed by the child's descriptor. Received data is kept, even if
   * the child exits before it is read.
   */
  readonly pipes: readonly (RawStream | null)[];
  /** The host's own object, for `getExtraInfo('subprocess')`. */
  readonly handle: unknown;
  /** Sets the receiver of the events. Called once, before any other method. */
  open(events: ProcessEvents): void;
  /**
   * Sends a signal. Returns false if the child has exited and got no signal. Throws the system's error if the
   * signal is not permitted.
   */
  kill(signum: number): boolean;
}

export interface ProcessEvents {
  /**
   * The child has exited and was reaped. Called once. All of its output was delivered from pipes that are
   * being read. A pipe that is not read, or that a grandchild holds, may still have data.
   *
   * @param code the return code, or the negative number of the signal that ended the child
   */
  onExit(code: number): void;
}

/** The context of a TLS session. Only the backend that created it knows its contents. */
export interface TlsContext {
  readonly serverSide: boolean;
}

export interface TlsTarget {
  context: TlsContext;
  /**
   * The name that is sent as SNI and that the certificate must be valid for. null: no name is sent or
   * checked.
   */
  serverHostname: string | null;
}

export interface TlsEvents {
  /** The handshake is complete, and the certificate was verified if the options require it. */
  onSecure(info: TlsInfo): void;
  /**
   * Encrypted bytes for the peer. Only this callback may be called from within `wrapTls`, `decrypt`,
   * `encrypt` and `end`.
   */
  onEncrypted(data: Buffer): void;
  /** Decrypted bytes from the peer. */
  onDecrypted(data: Buffer): void;
  /** All data that was passed to `encrypt` has been delivered by `onEncrypted`. */
  onDrained(): void;
  /** The peer has sent close_notify. No data follows. */
  onEnd(): void;
  /**
   * The peer's bytes have ended without close_notify. All data that could be decrypted was delivered before.
   */
  onTruncated(): void;
  /** Our close_notify was delivered by `onEncrypted`. No encrypted bytes follow. */
  onEnded(): void;
  /**
   * The session has failed. No other callback follows.
   *
   * @param ownFault true if a callback in the host's options failed, not the peer
   */
  onError(error: Error, ownFault: boolean): void;
}

export interface TlsInfo {
  /** `sslObject peercert cipher sslContext compression`, for `getExtraInfo`. */
  extra: Readonly<Record<string, unknown>>;
}

export interface RawTls {
  /** Passes encrypted bytes of the peer to the session. */
  decrypt(data: Uint8Array): void;
  /** Encrypts bytes for the peer. Only after `onSecure`. */
  encrypt(chunks: Uint8Array[]): void;
  /** No more bytes come from the peer. `onTruncated` is called, unless `onEnd` was or will be called. */
  decryptEnd(): void;
  /** Sends close_notify after the data that was encrypted. */
  end(): void;
  /** Ends the session at once. No callback follows. */
  close(): void;
}

export interface RawPoll {
  /**
   * Sets the events to report from now on. Throws the system's error: `EPERM` for a file, which is always
   * ready, and `EBADF` for a closed descriptor.
   */
  want(readable: boolean, writable: boolean): void;
  close(): void;
}

export interface SocketTarget {
  family: number;
  type: number;
  proto: number;
  /**
   * A socket whose ownership the backend takes; it keeps its own family, type and protocol. null: a new
   * socket.
   */
  fileno: number | null;
}

/**
 * A socket without buffers. Each call is one system call, and never waits. If the system call would have to
 * wait, the method returns null, and {@link Backend.poll} reports when to call it again. A failure throws the
 * system's error, and `EBADF` after `close()`.
 */
export interface RawSocket extends SystemOptions {
  /** -1 after `close()` and `detach()`. */
  readonly fd: number;
  readonly family: number;
  readonly type: number;
  readonly proto: number;
  bind(address: SocketAddress): void;
  listen(backlog: number): void;
  accept(): [RawSocket, SocketAddress | null] | null;
  /**
   * Starts to connect. Returns false if the connection is in progress; when the socket is writable, call it
   * again for the result.
   */
  connect(address: SocketAddress): boolean;
  recv(length: number): Buffer | null;
  recvInto(buffer: Uint8Array): number | null;
  /**
   * Receives data and the sender's address. The address is null for a connected stream, and for a unix socket
   * without a name.
   */
  recvFrom(length: number): [Buffer, SocketAddress | null] | null;
  recvFromInto(buffer: Uint8Array): [number, SocketAddress | null] | null;
  /** Sends the bytes from `offset` on. Returns the number of bytes sent. */
  send(data: Uint8Array, offset: number): number | null;
  sendTo(data: Uint8Array, address: SocketAddress): number | null;
  /** Sends a part of an open file. Returns the number of bytes sent, which is 0 at the end of the file. */
  sendFile(file: number, offset: number, count: number): number | null;
  shutdown(how: number): void;
  sockname(): SocketAddress | null;
  peername(): SocketAddress | null;
  /** Returns the file descriptor, which the caller owns from then on. */
  detach(): number;
  close(): void;
}

/**
 * A socket whose descriptor a backend can take over without closing it. The backend detaches it after the
 * takeover.
 */
export interface DetachableSocket {
  fileno(): number;
  detach(): number;
}
