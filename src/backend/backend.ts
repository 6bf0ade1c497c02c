/**
 * What a backend must provide. Types only.
 *
 * A backend is small and dumb: a clock, two kinds of wake-up, and raw handles with callbacks. It knows
 * nothing of protocols, water marks, close order, futures. Completion, not readiness: it is asked to read or
 * write, and tells when it has.
 *
 * Of every callback: it comes from the host, never from within the call that asked for it; after `close()` or
 * `abort()` only `onClose` comes, once and last.
 */
import type { AddressInfo, Inet4Address, Inet6Address, SocketAddress } from '../base/address.ts';

/** Differences between backends are questions that one can ask, never silent fallbacks. */
export interface BackendFeatures {
  /** TCP connections and servers. */
  readonly tcp: boolean;
  /** Several servers on one port (`SO_REUSEPORT`). */
  readonly reusePort: boolean;
  /** `TransportSocket.fileno()` answers the descriptor. */
  readonly fileno: boolean;
  /** Unix sockets. */
  readonly unix: boolean;
  /** Unix sockets with a name of Linux's abstract namespace, `'\0name'`. */
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
  /** Files that are sent over a connection. */
  readonly files: boolean;
  /** Threads and processes for functions. */
  readonly executors: boolean;
  /** Readiness of any descriptor. */
  readonly polling: boolean;
  /** Sockets without buffers, by the system's own calls. */
  readonly sockets: boolean;
}

/** A loop, as its host sees it. */
export interface Turns {
  /** Runs what is ready and what is due. */
  run(): void;
  /** The earliest deadline, on the clock of `Backend.time()`; Infinity: none. */
  nextWhen(): number;
}

export interface Backend {
  /** `node`, `uv` or `sim`. */
  readonly name: string;
  readonly features: BackendFeatures;
  /** Seconds: what the clock can tell apart. */
  readonly clockResolution: number;
  /** Monotonic seconds. */
  time(): number;
  /** Real monotonic seconds, also where `time()` is virtual: what holds the thread in debug mode is real. */
  realTime(): number;
  /** Keeps the host alive from now on, and lets it call `turns.run()`. */
  start(turns: Turns): void;
  /** Lets the host go: it calls nothing until the next `start`. */
  stop(): void;
  /** `turns.run()` soon, from the host and not from within this call; once, however often it is asked for. */
  wake(): void;
  /**
   * The earliest deadline is `when` now, on the clock of `time()`. The host calls `turns.run()` at it or soon
   * after; perhaps also for a deadline that was told before. Infinity: there is none.
   */
  wakeAt(when: number): void;
  /**
   * Runs the host's microtasks and ticks, with all that they bring about. Only from within `turns.run()`.
   *
   * @param resume called by the host once they have run, if the answer is false
   * @returns true: they have run. False: the host runs them when it has the thread back, and then calls
   *   `resume`
   */
  drain(resume: () => void): boolean;
  /**
   * Calls back once the host has run its own timers that are due by now; soon, where `time()` is virtual. For
   * a deadline that must not come before a timer of the host's that was set before it, with the same length.
   */
  afterHostTimers(callback: () => void): void;
  /** Looks names up: the system's `getaddrinfo`. Whatever can be known without asking never comes here. */
  resolve(query: ResolveQuery, onDone: (error: Error | null, found: AddressInfo[]) => void): RawRequest;
  /** The names of an address: the system's `getnameinfo`. */
  nameOf(query: NameQuery, onDone: (error: Error | null, host: string, service: string) => void): RawRequest;
  /** Starts to connect. */
  connect(target: ConnectTarget, events: ConnectEvents): RawRequest;
  /** Takes over a connected socket of the host's; throws a TypeError for what is none. */
  adopt(socket: unknown): RawStream;
  /** Binds and listens. */
  listen(target: ListenTarget, events: ListenEvents): RawListener;
  /**
   * Takes one direction of a pipe over: a descriptor or an object of the host's. Throws a TypeError for what
   * is none.
   */
  openPipe(pipe: unknown, direction: 'read' | 'write'): RawStream;
  /** Opens a socket for datagrams. */
  datagram(target: DatagramTarget, events: DatagramOpenEvents): RawRequest;
  /** Starts a child process. */
  spawn(target: SpawnTarget, events: SpawnEvents): RawRequest;
  /**
   * The platform's signals by name; with `SIGRTMIN` and `SIGRTMAX`, the numbers between them are signals,
   * too.
   */
  readonly signals: Readonly<Record<string, number>>;
  /**
   * Calls back at each signal, instead of the signal's default action, until it is cancelled. Keeps no
   * process alive.
   *
   * @param signum one of {@link signals}; throws a RangeError for one that cannot be handled, a LoopError
   *   `ERR_SIGNAL_SETUP` on a thread that gets none, `ERR_UNSUPPORTED` for one that the host cannot handle
   */
  signal(signum: number, callback: () => void): RawRequest;
  /**
   * As {@link signal}, but only while the program does not listen for the signal itself; never, on a thread
   * that gets none.
   */
  interrupt(signum: number, callback: () => void): RawRequest;
  /**
   * Makes of the host's own TLS options what sessions are made with. Throws a TypeError for what is none, and
   * the host's error for keys and certificates that cannot be used.
   *
   * @param ssl the host's options or secure context; true (a client's only): the usual ones
   */
  tlsContext(ssl: unknown, serverSide: boolean): TlsContext;
  /** One side of a TLS session: bytes in, bytes out. */
  wrapTls(target: TlsTarget, events: TlsEvents): RawTls;
  /**
   * Tells when a descriptor is ready; at first nothing is wanted. Level-triggered. One for each descriptor.
   *
   * @param onReady what a reader and a writer would not wait for now; a hang-up and an error count as both,
   *   wanted or not
   */
  poll(fd: number, onReady: (readable: boolean, writable: boolean) => void): RawPoll;
  /** Whether the descriptor is that of a stream, listener or socket for datagrams of the backend's. */
  usesDescriptor(fd: number): boolean;
  /**
   * Opens a socket, or takes one over; throws the system's error, and then the descriptor is still the
   * caller's.
   */
  socket(target: SocketTarget): RawSocket;
  /** Ends what the backend itself holds. */
  close(): void;
}

/** Something under way that can be given up: afterwards it calls nothing back. */
export interface RawRequest {
  cancel(): void;
}

export interface ResolveQuery {
  /** A name or a literal, which may have a zone. Null: this machine, or every interface with `AI_PASSIVE`. */
  host: string | null;
  /** A number, or the name of a service. */
  port: number | string;
  /** 0, `AF_INET` or `AF_INET6`. */
  family: number;
  /** 0: all of them. */
  type: number;
  /** 0: all of them. */
  proto: number;
  /** `AI_` flags. */
  flags: number;
}

export interface NameQuery {
  /**
   * Of IPv4 or IPv6, the host a literal in the system's spelling; with a zone only where the scope id is 0.
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

/** A connected byte stream. Nothing is read before `readStart()`. */
export interface RawStream {
  /** Who is told. Called once, before anything else. */
  open(events: StreamEvents): void;
  readStart(): void;
  readStop(): void;
  /**
   * What is read next goes into `buffer`, once, and `onReadInto` tells it; null takes the buffer back. What
   * is read while there is none, or more than it holds, comes by `onRead`. Absent where the host cannot.
   */
  readInto?(buffer: Uint8Array | null): void;
  /**
   * Sends the chunks, none of them empty, in one system call where the host can. True: the host has taken all
   * of it. False: it has taken over the array and its chunks, and `onWritten` comes when all of them have
   * left; until then nothing more may be written. When the memory of a chunk is given away meanwhile, the
   * stream ends by `EFAULT`.
   */
  write(chunks: Uint8Array[]): boolean;
  /**
   * Bytes: so much is worth a system call of its own before the end of the turn. Absent: all of it had better
   * wait.
   */
  readonly promptBytes?: number;
  /** Sends FIN behind what was written. */
  shutdown(): void;
  /** Ends it: what was written still leaves. */
  close(): void;
  /** Ends it at once, by RST where the stream has one. */
  abort(): void;
  info(): StreamInfo;
}

export interface StreamEvents {
  /** The receiver owns the buffer. */
  onRead(data: Buffer): void;
  /** The buffer of `readInto` was filled with so many bytes. */
  onReadInto?(length: number): void;
  /**
   * The peer's FIN: at most once, and no data after it. Of a pipe to write to: nobody reads any more; writing
   * fails from now on.
   */
  onEnd(): void;
  onWritten(): void;
  /** Last, exactly once; the error that ended it, if one did. */
  onClose(error: Error | null): void;
}

export interface StreamInfo {
  readonly family: number;
  readonly sockname: SocketAddress | null;
  readonly peername: SocketAddress | null;
  /** The host's own object, for `getExtraInfo('socket')`; null for what is no socket. */
  readonly handle: SocketControl | null;
  /** Which way bytes go. */
  readonly direction: 'both' | 'read' | 'write';
  /** Whether one direction can end before the other. */
  readonly halfClose: boolean;
  /** Further facts for `getExtraInfo`, by name. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** What a `TransportSocket` can do. */
export interface SocketControl {
  fileno(): number;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, delaySeconds: number): void;
  /** Its descriptor's options. Absent where the host shows no descriptors. */
  readonly system?: SystemSocket;
}

/** The options of a socket. They throw the system's error; once it is closed, `EBADF`. */
export interface SystemOptions {
  getOption(level: number, option: number): number;
  getOption(level: number, option: number, length: number): Buffer;
  setOption(level: number, option: number, value: number | Uint8Array): void;
}

/** A socket that somebody else reads and writes. */
export interface SystemSocket extends SystemOptions {
  /** Another descriptor of the same socket. Throws the system's error. */
  duplicate(): RawSocket;
}

export interface ListenTarget {
  address: SocketAddress | null;
  /** A listening socket of the host's to take over, instead of an address. */
  socket: unknown;
  backlog: number;
  reusePort: boolean;
  /** IPv6 sockets take IPv6 only: one server has a socket for each family. */
  ipv6Only: boolean;
  /** Whether it accepts connections at once; else `serve()` begins. */
  serves: boolean;
}

export interface ListenEvents {
  /** It is bound, and listens if the target says so. */
  onListening(): void;
  /**
   * Before `serve()` connections come where the host cannot bind without listening: as many as the backlog
   * has room for.
   */
  onConnection(stream: RawStream): void;
  /**
   * Could not listen (then it comes instead of `onListening`), or could not accept a connection. Then the
   * listener accepts none until `acceptStart()`: what keeps one from being accepted keeps the next, too.
   */
  onError(error: Error): void;
}

export interface RawListener {
  sockname(): SocketAddress | null;
  fileno(): number;
  /** Its descriptor's options. Absent where the host shows no descriptors. */
  readonly system?: SystemSocket;
  /** Begins to accept, where the target said that it does not at once. Throws the system's error. */
  serve(): void;
  /** Accepts again, after `onError`. */
  acceptStart(): void;
  /** Stops accepting. Accepted streams live on. */
  close(): void;
}

export interface DatagramTarget {
  /** `AF_INET` or `AF_INET6`. */
  family: number;
  /** Null: a free port of every interface. */
  local: SocketAddress | null;
  /** Where everything goes and all comes from: the socket is connected to it. */
  remote: SocketAddress | null;
  /**
   * A bound socket of the host's to take over, instead of addresses. A TypeError at the call for what is
   * none.
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
  /** Null: to the socket's `remote`. */
  readonly address: SocketAddress | null;
}

/** A socket for datagrams. Nothing is received before `receiveStart()`. */
export interface RawDatagram {
  /** Who is told. Called once, before anything else. */
  open(events: DatagramEvents): void;
  receiveStart(): void;
  /**
   * What comes from now on waits as long as the host has room for it; the rest is lost, as datagrams may be.
   */
  receiveStop(): void;
  /**
   * Sends one datagram. True: the host has taken it. False: it keeps a copy, and `onSent` comes when that has
   * left; until then nothing more may be sent.
   *
   * @param address null: to the socket's `remote`
   */
  send(data: Uint8Array, address: SocketAddress | null): boolean;
  /**
   * Where a host can send many at once: copies one, which leaves at the next `flush()`. False: it cannot have
   * this one, and what was gathered must be flushed before it is sent.
   */
  gather?(data: Uint8Array, address: SocketAddress | null): boolean;
  /**
   * Sends what was gathered. Answers what the host has no room for, in order: `send()` then waits for some.
   */
  flush?(): Datagram[];
  /**
   * Ends it at once: what has not left is dropped, what was gathered is sent. Before `onClose`, `onError` may
   * still tell what had failed already.
   */
  close(): void;
  info(): StreamInfo;
}

export interface DatagramEvents {
  /** The receiver owns the buffer. */
  onMessage(data: Buffer, address: SocketAddress): void;
  /** The datagram that was not taken at once has left; or could not. */
  onSent(error: Error | null): void;
  /** A datagram could not be sent, or was refused by its receiver as the system has learned since. */
  onError(error: Error): void;
  /** Last, exactly once. */
  onClose(error: Error | null): void;
}

/** What a child's descriptor is: a new pipe, nothing, ours, another one, or the pipe that is its stdout. */
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
  /** Without the program's own name. */
  args: readonly string[];
  argv0: string | null;
  cwd: string | URL | null;
  /** Null: ours. */
  env: Readonly<Record<string, string>> | null;
  uid: number | null;
  gid: number | null;
  /** A session and process group of its own. */
  detached: boolean;
  /** By the child's descriptor: stdin, stdout, stderr. */
  stdio: readonly [SpawnStdio, SpawnStdio, SpawnStdio];
  /** Descriptors of ours that the child gets under the same numbers. */
  passFds: readonly number[];
}

export interface SpawnEvents {
  onSpawn(child: RawProcess): void;
  /** It could not be started (then it comes instead of `onSpawn`). */
  onError(error: Error): void;
}

export interface RawProcess {
  readonly pid: number;
  /**
   * By the child's descriptor: our ends of its pipes. What came is kept, also when the child ends before it
   * is read.
   */
  readonly pipes: readonly (RawStream | null)[];
  /** The host's own object, for `getExtraInfo('subprocess')`. */
  readonly handle: unknown;
  /** Who is told. Called once, before anything else. */
  open(events: ProcessEvents): void;
  /** False: it has ended, and nobody got the signal. Throws the system's error where that forbids it. */
  kill(signum: number): boolean;
}

export interface ProcessEvents {
  /**
   * It has ended and was reaped. Once. Of what it had written, all that is being read has been; a pipe that
   * is not read, or that a grandchild has, may have data still.
   *
   * @param code what it returned; the negative number of the signal that ended it
   */
  onExit(code: number): void;
}

/** Only the backend that made it knows more. */
export interface TlsContext {
  readonly serverSide: boolean;
}

export interface TlsTarget {
  context: TlsContext;
  /**
   * The name that the certificate must have, and that is sent as SNI; null: none is asked for, or checked.
   */
  serverHostname: string | null;
}

export interface TlsEvents {
  /** The handshake is done, and what it asked for was verified. */
  onSecure(info: TlsInfo): void;
  /**
   * Bytes for the peer. Alone among these it may come from within `wrapTls`, `decrypt`, `encrypt` and `end`.
   */
  onEncrypted(data: Buffer): void;
  /** Bytes of the peer. */
  onDecrypted(data: Buffer): void;
  /** All that was given to `encrypt` so far has come out by `onEncrypted`. */
  onDrained(): void;
  /** The peer's close_notify: no data comes after it. */
  onEnd(): void;
  /** The peer's bytes have ended without its close_notify, after all data that was among them. */
  onTruncated(): void;
  /** Our close_notify has come out by `onEncrypted`: nothing comes out after it. */
  onEnded(): void;
  /**
   * The session has failed. Nothing else comes.
   *
   * @param ours it was not the peer, but a callback among the host's options
   */
  onError(error: Error, ours: boolean): void;
}

export interface TlsInfo {
  /** `sslObject peercert cipher sslContext compression`, for `getExtraInfo`. */
  extra: Readonly<Record<string, unknown>>;
}

export interface RawTls {
  /** Bytes from the peer. */
  decrypt(data: Uint8Array): void;
  /** Bytes for the peer; only after `onSecure`. */
  encrypt(chunks: Uint8Array[]): void;
  /** No more bytes come from the peer: `onTruncated` comes, unless `onEnd` has come or comes. */
  decryptEnd(): void;
  /** Sends our close_notify behind what was encrypted. */
  end(): void;
  /** Ends it at once; nothing more is called back. */
  close(): void;
}

export interface RawPoll {
  /**
   * What to tell of from now on. Throws the system's error: `EPERM` for what is always ready (a file),
   * `EBADF` for what is closed.
   */
  want(readable: boolean, writable: boolean): void;
  close(): void;
}

export interface SocketTarget {
  family: number;
  type: number;
  proto: number;
  /** A socket to take over: of the family, type and protocol that it has. Null: a new one. */
  fileno: number | null;
}

/**
 * A socket without buffers. Each call is one of the system's and waits for nothing: where that would have to
 * wait it answers null, and {@link Backend.poll} tells when to call again. What fails throws the system's
 * error; after `close()`, `EBADF`.
 */
export interface RawSocket extends SystemOptions {
  /** -1 once it is closed or detached. */
  readonly fd: number;
  readonly family: number;
  readonly type: number;
  readonly proto: number;
  bind(address: SocketAddress): void;
  listen(backlog: number): void;
  accept(): [RawSocket, SocketAddress | null] | null;
  /** False: it is under way. When the socket can be written to, the same call tells how it went. */
  connect(address: SocketAddress): boolean;
  recv(length: number): Buffer | null;
  recvInto(buffer: Uint8Array): number | null;
  /** The address is null where there is none: of a connected stream, of a unix socket without a name. */
  recvFrom(length: number): [Buffer, SocketAddress | null] | null;
  recvFromInto(buffer: Uint8Array): [number, SocketAddress | null] | null;
  /** Sends from `offset` on, and answers how much. */
  send(data: Uint8Array, offset: number): number | null;
  sendTo(data: Uint8Array, address: SocketAddress): number | null;
  /** Sends a part of an open file, and answers how much: 0 at its end. */
  sendFile(file: number, offset: number, count: number): number | null;
  shutdown(how: number): void;
  sockname(): SocketAddress | null;
  peername(): SocketAddress | null;
  /** Gives the descriptor away. */
  detach(): number;
  close(): void;
}

/**
 * Where a backend takes a socket over: one whose descriptor can be had without closing it. It is detached
 * once it is taken.
 */
export interface DetachableSocket {
  fileno(): number;
  detach(): number;
}
