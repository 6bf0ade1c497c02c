/** Child processes and signals. Types only. */
import type { RawRequest } from './request.ts';
import type { RawStream } from './streams.ts';

export interface Processes {
  /** Starts a child process. Throws an UnusableError for a stream that a child cannot have. */
  spawn(target: SpawnTarget, events: SpawnEvents): RawRequest;
}

export interface Signals {
  /**
   * The platform's signals by name. If it has `SIGRTMIN` and `SIGRTMAX`, the numbers between them are
   * signals, too.
   */
  readonly numbers: Readonly<Record<string, number>>;
  /**
   * Calls back at each signal, instead of the signal's default action, until the request is cancelled. It
   * does not keep the process alive.
   *
   * @param signum one of {@link numbers}. Throws an UnusableError for a signal that cannot be handled, and a
   *   LoopError: `ERR_SIGNAL_SETUP` on a thread that receives no signals, `ERR_UNSUPPORTED` for a signal that
   *   the host cannot handle
   */
  handle(signum: number, callback: () => void): RawRequest;
  /**
   * Calls back at each signal as {@link handle} does, but only while the program itself has no listener for
   * it. On a thread that receives no signals, it never calls back.
   */
  interrupt(signum: number, callback: () => void): RawRequest;
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
   * The child has exited and was reaped. Called once. Its output and the ends of its pipes may still be on
   * their way.
   *
   * @param code the return code, or the negative number of the signal that ended the child
   */
  onExit(code: number): void;
}
