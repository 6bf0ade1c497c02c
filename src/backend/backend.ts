/**
 * The interface of a backend: a turn driver, and one object for each capability. Types only.
 *
 * A backend is small: a clock, two kinds of wake-up, and raw handles with callbacks. It does not know
 * protocols, water marks, close order or futures. Its interface is one of completion, not of readiness: the
 * caller asks it to read or write, and it reports when that is done.
 *
 * For a value of the host that it cannot use, a backend throws an `UnusableError` (base/unusable.ts). The
 * caller names the argument.
 *
 * For every callback: the host calls it, never the method that requested it. After `close()` or `abort()`
 * only `onClose` is called, once, as the last callback.
 *
 * Members for speed alone are optional, and a backend without them behaves the same: `readInto` and
 * `promptBytes` of a stream, and `gather` with `flush` of a datagram socket.
 */
import type { Datagrams } from './datagrams.ts';
import type { Executors, Files } from './files.ts';
import type { Names } from './names.ts';
import type { Processes, Signals } from './processes.ts';
import type { Descriptors, Polling, Sockets } from './sockets.ts';
import type { Pipes, StreamSockets, UnixSockets } from './streams.ts';
import type { Tls } from './tls.ts';

export type * from './datagrams.ts';
export type * from './files.ts';
export type * from './names.ts';
export type * from './processes.ts';
export type * from './request.ts';
export type * from './sockets.ts';
export type * from './streams.ts';
export type * from './tls.ts';

/** A loop, as its host sees it. */
export interface Turns {
  /** Runs ready entries and due timers. */
  run(): void;
  /** Returns the earliest deadline on the clock of `TurnDriver.time()`, or Infinity if there is none. */
  nextWhen(): number;
}

/** A clock and the wake-ups of the host. */
export interface TurnDriver {
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
  /** Releases the resources that the backend itself holds. */
  close(): void;
}

/** Facts of the platform. */
export interface PlatformFacts {
  /** Several servers may share a port (`SO_REUSEPORT`). */
  readonly reusePort: boolean;
  /** Unix sockets may have a name in Linux's abstract namespace, `'\0name'`. */
  readonly abstractUnix: boolean;
  /** `TransportSocket.fileno()` returns the file descriptor. */
  readonly fileno: boolean;
}

/** One object for each capability; null where the backend lacks it. There are no silent fallbacks. */
export interface Capabilities {
  readonly tcp: StreamSockets | null;
  readonly unix: UnixSockets | null;
  readonly pipes: Pipes | null;
  readonly datagrams: Datagrams | null;
  readonly names: Names | null;
  readonly tls: Tls | null;
  readonly processes: Processes | null;
  readonly signals: Signals | null;
  /** The owners of descriptors. null: nothing here has a descriptor. */
  readonly descriptors: Descriptors | null;
  readonly polling: Polling | null;
  readonly sockets: Sockets | null;
  readonly files: Files | null;
  readonly executors: Executors | null;
}

export interface Backend extends TurnDriver, PlatformFacts, Capabilities {
  /** `node`, `uv` or `sim`. */
  readonly name: string;
}
