/** A child of `node:child_process` as a raw process. */

import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants as fileConstants, openSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants, devNull } from 'node:os';
import { fileURLToPath } from 'node:url';
import { hostNextTick, hostSetImmediate } from '../../base/host.ts';
import { invalidArgType } from '../../base/validate.ts';
import type {
  ProcessEvents,
  RawProcess,
  RawRequest,
  RawStream,
  SpawnEvents,
  SpawnStdio,
  SpawnTarget,
} from '../backend.ts';
import { ChildInput, ChildOutput } from './child-pipe.ts';
import { Inherited, missingDescriptor } from './inherited.ts';
import { keepAllNonBlocking } from './non-blocking.ts';
import { SocketPair } from './socket-pair.ts';

const STDIO_NAMES = ['options.stdin', 'options.stdout', 'options.stderr'] as const;
const SIGKILL = 9;

/**
 * Starts a child. Throws a TypeError for a stream that a child cannot have, and for a URL that is no file's.
 */
export function spawnProcess(target: SpawnTarget, events: SpawnEvents): RawRequest {
  const cwd = target.cwd instanceof URL ? fileURLToPath(target.cwd) : target.cwd;
  for (const [index, kind] of target.stdio.entries()) {
    if (kind.kind === 'stream') checkStream(STDIO_NAMES[index] as string, kind.stream);
  }
  return new Spawning({ ...target, cwd }, events);
}

/**
 * How often the host polls before it tells that a child has ended whose pipes are still open: to read the
 * end, to close our side, to learn that it is closed, with room to spare. Longer only a grandchild has them,
 * or whoever does not read.
 */
const POLLS_AFTER_EXIT = 8;

type Target = SpawnTarget & { cwd: string | null };

/** What node:child_process takes for one descriptor. */
type NodeStdio = 'pipe' | 'ignore' | number | Socket;

class Spawning implements RawRequest {
  readonly #target: Target;
  readonly #events: SpawnEvents;
  readonly #inherited: Inherited | null = null;
  #pairing: SocketPair | null = null;
  #child: NodeProcess | null = null;
  #cancelled: boolean = false;

  constructor(target: Target, events: SpawnEvents) {
    this.#target = target;
    this.#events = events;
    let failure = lackOfDescriptors(target);
    if (failure === null) {
      this.#inherited = new Inherited();
      failure = missingDescriptor(target);
    }
    if (failure !== null) hostNextTick(() => this.#fail(failure));
    else if (target.stdio[2].kind === 'stdout') this.#spawnWithPair();
    else this.#spawn(target.stdio.map(this.#nodeStdio), null);
  }

  cancel(): void {
    this.#cancelled = true;
    this.#pairing?.cancel();
    this.#child?.abandon();
    this.#inherited?.close();
  }

  /** Node makes each pipe for one descriptor: one that is stdout and stderr at once has to be ours. */
  #spawnWithPair(): void {
    this.#pairing = new SocketPair({
      onPair: (near, far) => {
        try {
          this.#spawn([this.#nodeStdio(this.#target.stdio[0], 0), far, far], near);
        } finally {
          far.destroy();
        }
      },
      onError: (error) => this.#fail(error),
    });
  }

  /** @param output our end of the pipe that is the child's stdout and stderr */
  #spawn(stdio: NodeStdio[], output: Socket | null): void {
    const target = this.#target;
    for (const fd of target.passFds) {
      while (stdio.length < fd) stdio.push('ignore');
      stdio[fd] = fd;
    }
    let child: ChildProcess;
    try {
      child = spawn(commandOf(target), target.args, optionsOf(target, stdio));
    } catch (error) {
      output?.destroy();
      // Of the system's errors, Node throws some and emits others.
      hostNextTick(() => this.#fail(error as Error));
      return;
    } finally {
      this.#inherited?.close();
      keepAllNonBlocking();
    }
    if (child.pid === undefined) {
      output?.destroy();
      for (const socket of child.stdio ?? []) discard(socket as Socket | null);
      child.once('error', (error) => this.#fail(error));
      return;
    }
    const raw = new NodeProcess(child, child.pid, output);
    this.#child = raw;
    hostNextTick(() => {
      if (!this.#cancelled) this.#events.onSpawn(raw);
    });
  }

  /** What node:child_process takes for one of the target's descriptors. */
  #nodeStdio = (kind: SpawnStdio, fd: number): NodeStdio => {
    const inherited = this.#inherited as Inherited;
    switch (kind.kind) {
      case 'null':
        return 'ignore';
      case 'fd':
        return inherited.blocking(kind.fd);
      case 'inherit':
        return inherited.blocking(fd);
      case 'stream': {
        const own = descriptorOf(kind.stream);
        const copy = own < 0 ? own : inherited.blocking(own);
        return copy === own ? (kind.stream as Socket) : copy;
      }
      default:
        return 'pipe';
    }
  };

  #fail(error: Error): void {
    this.#inherited?.close();
    if (!this.#cancelled) this.#events.onError(explain(error, this.#target));
  }
}

/** The descriptor of a stream of Node's or a FileHandle; -1 where it does not tell. */
function descriptorOf(stream: unknown): number {
  const { fd, _handle } = stream as { fd?: unknown; _handle?: { fd?: unknown } | null };
  const own = fd ?? _handle?.fd;
  return typeof own === 'number' ? own : -1;
}

/** Node takes no empty command, but a shell does: a blank is as little. */
function commandOf({ program, shell }: Target): string {
  return shell && program === '' ? ' ' : program;
}

function optionsOf(target: Target, stdio: NodeStdio[]): SpawnOptions {
  const options: SpawnOptions = { stdio, shell: target.shell, detached: target.detached, windowsHide: true };
  if (target.argv0 !== null) options.argv0 = target.argv0;
  if (target.cwd !== null) options.cwd = target.cwd;
  if (target.env !== null) options.env = target.env;
  if (target.uid !== null) options.uid = target.uid;
  if (target.gid !== null) options.gid = target.gid;
  return options;
}

/**
 * Facts. When a child ends, Node closes its stdin, and lets the data of every other pipe flow, to nowhere if
 * nobody listens: whoever had paused, or had no time to listen yet, loses it. It does both to what it finds
 * in `child.stdin` and `child.stdio`.
 *
 * What this means. The pipes are taken out of there in the turn of the spawn. Then they are ours alone.
 */
class NodeProcess implements RawProcess {
  readonly pid: number;
  readonly pipes: readonly (RawStream | null)[];
  readonly handle: ChildProcess;
  readonly #input: ChildInput | null;
  readonly #outputs: readonly (ChildOutput | null)[];
  #events: ProcessEvents | null = null;
  #code: number | null = null;
  /** The exit is to be told: now, or by `open()` where nobody listens yet. */
  #settled: boolean = false;
  #killError: Error | null = null;

  constructor(child: ChildProcess, pid: number, output: Socket | null) {
    this.pid = pid;
    this.handle = child;
    child.on('exit', this.#onExit);
    // After the spawn it only comes from within kill().
    child.on('error', (error) => {
      this.#killError = error;
    });
    child.unref();
    const [stdin, stdout, stderr] = child.stdio as (Socket | null)[];
    // On Bun what is null already cannot be set.
    for (const name of ['stdin', 'stdout', 'stderr'] as const) {
      if (child[name]) Object.assign(child, { [name]: null });
    }
    Object.assign(child, { stdio: [] });
    this.#input = stdin ? new ChildInput(stdin) : null;
    this.#outputs = [output ?? stdout, stderr].map((socket) => (socket ? new ChildOutput(socket) : null));
    this.pipes = [this.#input, ...this.#outputs];
  }

  open(events: ProcessEvents): void {
    this.#events = events;
    if (this.#settled) hostNextTick(() => this.#tell());
  }

  kill(signum: number): boolean {
    // Its number may be that of another process by now.
    if (this.#code !== null) return false;
    if (!NAMED_SIGNALS.has(signum) && signum !== 0) return killUnnamed(this.pid, signum);
    this.#killError = null;
    const killed = this.handle.kill(signum as NodeJS.Signals | number);
    if (this.#killError !== null) throw this.#killError;
    return killed;
  }

  /** Nobody wants it any more. */
  abandon(): void {
    try {
      this.kill(SIGKILL);
    } catch {
      // It runs as another user by now.
    }
    for (const pipe of this.pipes) pipe?.abort();
  }

  #onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
    this.#code = code ?? -(constants.signals[signal as NodeJS.Signals] ?? 0);
    this.#input?.childEnded();
    this.#settle(POLLS_AFTER_EXIT);
  };

  /**
   * What the child had written, and the ends of its pipes, are there by now: whoever reads them gets them
   * first.
   */
  #settle(polls: number): void {
    if (polls > 0 && !this.#pipesClosed()) {
      hostSetImmediate(() => this.#settle(polls - 1));
      return;
    }
    this.#settled = true;
    this.#tell();
  }

  #pipesClosed(): boolean {
    return [this.#input, ...this.#outputs].every((pipe) => pipe === null || pipe.closed);
  }

  #tell(): void {
    this.#events?.onExit(this.#code as number);
  }
}

const NAMED_SIGNALS: ReadonlySet<number> = new Set(Object.values(constants.signals));

/** Node takes a stream of its own that has a descriptor, or a FileHandle. */
function checkStream(name: string, stream: unknown): void {
  const fd = (stream as { fd?: unknown }).fd;
  if (typeof fd === 'number' && fd >= 0) return;
  if (stream instanceof Socket && !stream.destroyed && !stream.pending) return;
  throw invalidArgType(name, stream, 'a stream of Node or a FileHandle that has a descriptor and is open');
}

function discard(socket: Socket | null): void {
  socket?.on('error', () => {});
  socket?.destroy();
}

/**
 * Descriptors that a spawn takes for a while: two ends of three pipes, what makes the pair, what the child
 * opens to begin with.
 */
const SPAWN_DESCRIPTORS = 16;

/**
 * Facts. Where the descriptors run out in the middle of a spawn, Node loses those that it has made by then.
 *
 * What this means. They are counted before: opening some costs a hundredth of a spawn.
 */
function lackOfDescriptors({ program, passFds }: Target): Error | null {
  const taken: number[] = [];
  try {
    while (taken.length < SPAWN_DESCRIPTORS + passFds.length) taken.push(openSync(devNull, 'r'));
    return null;
  } catch (cause) {
    const { code, errno } = cause as NodeJS.ErrnoException;
    if (code !== 'EMFILE' && code !== 'ENFILE') return null;
    const syscall = `spawn ${program}`;
    return Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall, path: program });
  } finally {
    for (const fd of taken) closeSync(fd);
  }
}

/**
 * The system says ENOENT for a program that is missing, and for a working directory that is; Node then names
 * the program. Which one it was is looked up afterwards.
 */
function explain(error: NodeJS.ErrnoException, target: Target): Error {
  if (error.errno === undefined) return error;
  const wrong = target.cwd === null ? null : whatIsWrongWith(target.cwd);
  if (wrong !== null && wrong.code === error.code) {
    wrong.message = `spawn ${target.program}: ${wrong.code} for its working directory ${target.cwd}`;
    return Object.assign(wrong, { syscall: 'chdir', path: target.cwd });
  }
  if (error.syscall === 'spawn') error.syscall = `spawn ${target.program}`;
  error.path ??= target.program;
  return error;
}

/** Null: one can work there. */
function whatIsWrongWith(directory: string): NodeJS.ErrnoException | null {
  try {
    // With a slash behind it, a file is ENOTDIR.
    statSync(`${directory}/`);
    accessSync(directory, fileConstants.X_OK);
    return null;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

/** Real-time signals have no names, and Node's children take only what has one. */
function killUnnamed(pid: number, signum: number): boolean {
  try {
    return process.kill(pid, signum);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
