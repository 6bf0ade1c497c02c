/**
 * What a backend must provide. Types only.
 *
 * A backend is small and dumb: a clock, two kinds of wake-up, and raw handles with callbacks. It knows nothing of
 * protocols, water marks, close order, futures. Completion, not readiness: it is asked to read or write, and tells when it has.
 *
 * Of every callback: it comes from the host, never from within the call that asked for it; after `close()` or `abort()` only
 * `onClose` comes, once and last.
 */
import type { AddressInfo, SocketAddress } from '../base/address.ts';

/** Differences between backends are questions that one can ask, never silent fallbacks. */
export interface BackendFeatures {
  /** TCP connections and servers. */
  readonly tcp: boolean;
  /** Several servers on one port (`SO_REUSEPORT`). */
  readonly reusePort: boolean;
  /** `TransportSocket.fileno()` answers the descriptor. */
  readonly fileno: boolean;
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
  /**
   * Keeps the host alive from now on, and lets `wake` and `wakeAt` call `onTurn`. `onTurnEnd` follows each `onTurn`, once
   * the host's microtasks are done.
   */
  start(onTurn: () => void, onTurnEnd: () => void): void;
  /** Lets the host go; no `onTurn` comes until the next `start`. */
  stop(): void;
  /** `onTurn` soon, once however often it is asked, and not before the microtasks of the last turn are done. */
  wake(): void;
  /** `onTurn` at or soon after `when`, on the clock of `time()`; replaces the earlier wish. Infinity: none. */
  wakeAt(when: number): void;
  /** Looks names up. Literal addresses and null hosts never come here. */
  resolve(query: ResolveQuery, onDone: (error: Error | null, found: AddressInfo[]) => void): RawRequest;
  /** Starts to connect. */
  connect(target: ConnectTarget, events: ConnectEvents): RawRequest;
  /** Takes over a connected socket of the host's; throws a TypeError for what is none. */
  adopt(socket: unknown): RawStream;
  /** Binds and listens. */
  listen(target: ListenTarget, events: ListenEvents): RawListener;
  /** Calls back at Ctrl-C instead of the process being killed; where the program has a listener of its own, never. */
  onInterrupt(callback: () => void): RawRequest;
  /** Ends what the backend itself holds. */
  close(): void;
}

/** Something under way that can be given up: afterwards it calls nothing back. */
export interface RawRequest {
  cancel(): void;
}

export interface ResolveQuery {
  host: string;
  /** 0, `AF_INET` or `AF_INET6`. */
  family: number;
  /** `AI_` flags. */
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
   * Sends the chunks in one system call where the host can. True: the host has taken all of it. False: it has taken over the
   * chunks, and `onWritten` comes when all of them have left; until then nothing more may be written.
   */
  write(chunks: Uint8Array[]): boolean;
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
  /** The peer's FIN: at most once, and no data after it. */
  onEnd(): void;
  onWritten(): void;
  /** Last, exactly once; the error that ended it, if one did. */
  onClose(error: Error | null): void;
}

export interface StreamInfo {
  family: number;
  sockname: SocketAddress | null;
  peername: SocketAddress | null;
  /** The host's own object, for `getExtraInfo('socket')`. */
  handle: SocketControl;
}

/** What a `TransportSocket` can do. */
export interface SocketControl {
  fileno(): number;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, delaySeconds: number): void;
}

export interface ListenTarget {
  address: SocketAddress | null;
  /** A listening socket of the host's to take over, instead of an address. */
  socket: unknown;
  backlog: number;
  reusePort: boolean;
  /** IPv6 sockets take IPv6 only: one server has a socket for each family. */
  ipv6Only: boolean;
}

export interface ListenEvents {
  onListening(): void;
  onConnection(stream: RawStream): void;
  /** Could not listen (then it comes instead of `onListening`), or could not accept one connection. */
  onError(error: Error): void;
}

export interface RawListener {
  sockname(): SocketAddress | null;
  fileno(): number;
  /** Stops accepting. Accepted streams live on. */
  close(): void;
}
