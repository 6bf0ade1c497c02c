/** A child of `node:child_process` as a raw process. */

import type { ChildProcess, SpawnOptions } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants, devNull } from 'node:os';
import { fileURLToPath } from 'node:url';
import { hostNextTick } from '../../base/host.ts';
import { UnusableError } from '../../base/unusable.ts';
import { node } from '../../platform/node-modules.ts';
import type {
  ProcessEvents,
  RawProcess,
  RawRequest,
  RawStream,
  SpawnEvents,
  SpawnStdio,
  SpawnTarget,
} from '../backend.ts';
import { Inherited, missingDescriptor } from '../shared/inherited.ts';
import { keepAllNonBlocking } from '../shared/non-blocking.ts';
import { ChildInput, ChildOutput } from './child-pipe.ts';
import { SocketPair } from './socket-pair.ts';

const STDIO_MEMBERS = ['.stdin', '.stdout', '.stderr'] as const;
const SIGKILL = 9;

/**
 * Starts a child. Throws a TypeError for a stream that a child cannot have, and for a URL that is not a file
 * URL.
 */
export function spawnProcess(target: SpawnTarget, events: SpawnEvents): RawRequest {
  const cwd = target.cwd instanceof URL ? fileURLToPath(target.cwd) : target.cwd;
  for (const [index, kind] of target.stdio.entries()) {
    if (kind.kind === 'stream') checkStream(STDIO_MEMBERS[index] as string, kind.stream);
  }
  return new Spawning({ ...target, cwd }, events);
}

type Target = SpawnTarget & { cwd: string | null };

/** A descriptor in the form that node:child_process accepts. */
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

  /** Node makes a pipe for one descriptor only. A pipe for stdout and stderr together must be made here. */
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

  /** @param output the parent's end of the pipe that is the child's stdout and stderr */
  #spawn(stdio: NodeStdio[], output: Socket | null): void {
    const target = this.#target;
    for (const fd of target.passFds) {
      while (stdio.length < fd) stdio.push('ignore');
      stdio[fd] = fd;
    }
    let child: ChildProcess;
    try {
      child = node.child_process.spawn(commandOf(target), target.args, optionsOf(target, stdio));
    } catch (error) {
      output?.destroy();
      // Node throws some errors of the system, and emits others.
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

  /** Converts a descriptor of the target to the form that node:child_process accepts. */
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

/** Returns the descriptor of a stream of Node or a FileHandle, or -1 if it is unknown. */
function descriptorOf(stream: unknown): number {
  const { fd, _handle } = stream as { fd?: unknown; _handle?: { fd?: unknown } | null };
  const own = fd ?? _handle?.fd;
  return typeof own === 'number' ? own : -1;
}

/** Replaces an empty command by a blank, because Node rejects an empty command, but a shell does not. */
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
 * When a child exits, Node closes its stdin and resumes every other pipe. Data without a listener is then
 * lost, for example if its reader had paused, or had not started yet. Node does both to the streams in
 * `child.stdin` and `child.stdio`.
 *
 * So the pipes are removed from there in the same turn as the spawn. Then only gyre uses them.
 */
class NodeProcess implements RawProcess {
  readonly pid: number;
  readonly pipes: readonly (RawStream | null)[];
  readonly handle: ChildProcess;
  readonly #input: ChildInput | null;
  #events: ProcessEvents | null = null;
  #code: number | null = null;
  #killError: Error | null = null;

  constructor(child: ChildProcess, pid: number, output: Socket | null) {
    this.pid = pid;
    this.handle = child;
    child.on('exit', this.#onExit);
    // After the spawn, this event comes only from within kill().
    child.on('error', (error) => {
      this.#killError = error;
    });
    child.unref();
    const [stdin, stdout, stderr] = child.stdio as (Socket | null)[];
    // On Bun, a property that is already null cannot be set.
    for (const name of ['stdin', 'stdout', 'stderr'] as const) {
      if (child[name]) Object.assign(child, { [name]: null });
    }
    Object.assign(child, { stdio: [] });
    this.#input = stdin ? new ChildInput(stdin) : null;
    const outputs = [output ?? stdout, stderr].map((socket) => (socket ? new ChildOutput(socket) : null));
    this.pipes = [this.#input, ...outputs];
  }

  open(events: ProcessEvents): void {
    this.#events = events;
    if (this.#code !== null) hostNextTick(() => this.#tell());
  }

  kill(signum: number): boolean {
    // Another process may have the same number by now.
    if (this.#code !== null) return false;
    if (!NAMED_SIGNALS.has(signum) && signum !== 0) return killUnnamed(this.pid, signum);
    this.#killError = null;
    const killed = this.handle.kill(signum as NodeJS.Signals | number);
    if (this.#killError !== null) throw this.#killError;
    return killed;
  }

  /** Kills the child and closes its pipes, because it is no longer needed. */
  abandon(): void {
    try {
      this.kill(SIGKILL);
    } catch {
      // The child runs as another user by now.
    }
    for (const pipe of this.pipes) pipe?.abort();
  }

  #onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
    this.#code = code ?? -(constants.signals[signal as NodeJS.Signals] ?? 0);
    this.#input?.childEnded();
    this.#tell();
  };

  #tell(): void {
    this.#events?.onExit(this.#code as number);
  }
}

const NAMED_SIGNALS: ReadonlySet<number> = new Set(Object.values(constants.signals));

/** Node accepts only its own streams with a descriptor, and FileHandles. */
function checkStream(member: string, stream: unknown): void {
  const fd = (stream as { fd?: unknown }).fd;
  if (typeof fd === 'number' && fd >= 0) return;
  if (stream instanceof node.net.Socket && !stream.destroyed && !stream.pending) return;
  const accepted = 'a stream of Node or a FileHandle that has a descriptor and is open';
  throw new UnusableError(stream, accepted, member);
}

function discard(socket: Socket | null): void {
  socket?.on('error', () => {});
  socket?.destroy();
}

/**
 * The number of descriptors that a spawn needs for a short time: two ends of three pipes, the socket pair,
 * and the files that the child opens first.
 */
const SPAWN_DESCRIPTORS = 16;

/**
 * If a spawn runs out of descriptors, Node leaks the ones that it has made by then. So this function first
 * checks that there are enough. Opening them costs one per cent of a spawn.
 */
function lackOfDescriptors({ program, passFds }: Target): Error | null {
  const opened: number[] = [];
  try {
    while (opened.length < SPAWN_DESCRIPTORS + passFds.length) opened.push(node.fs.openSync(devNull, 'r'));
    return null;
  } catch (cause) {
    const { code, errno } = cause as NodeJS.ErrnoException;
    if (code !== 'EMFILE' && code !== 'ENFILE') return null;
    const syscall = `spawn ${program}`;
    return Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall, path: program });
  } finally {
    for (const fd of opened) node.fs.closeSync(fd);
  }
}

/**
 * Makes the error name the missing file. The system reports ENOENT for a missing program and for a missing
 * working directory, and Node always names the program. So the directory is checked afterwards.
 */
function explain(error: NodeJS.ErrnoException, target: Target): Error {
  if (error.errno === undefined) return error;
  const wrong = target.cwd === null ? null : directoryError(target.cwd);
  if (wrong !== null && wrong.code === error.code) {
    wrong.message = `spawn ${target.program}: ${wrong.code} for its working directory ${target.cwd}`;
    return Object.assign(wrong, { syscall: 'chdir', path: target.cwd });
  }
  if (error.syscall === 'spawn') error.syscall = `spawn ${target.program}`;
  error.path ??= target.program;
  return error;
}

/** Returns null if the directory can be a working directory. */
function directoryError(directory: string): NodeJS.ErrnoException | null {
  try {
    // With a slash at the end, a file gives ENOTDIR.
    node.fs.statSync(`${directory}/`);
    node.fs.accessSync(directory, node.fs.constants.X_OK);
    return null;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

/** Sends a real-time signal, which has no name. Node's child objects accept only named signals. */
function killUnnamed(pid: number, signum: number): boolean {
  try {
    return process.kill(pid, signum);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
