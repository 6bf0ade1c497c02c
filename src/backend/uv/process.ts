/**
 * Child processes: started without copying the memory of this process, and watched by a pidfd
 * (native/src/process.c).
 */

import { fileURLToPath } from 'node:url';
import { hostNextTick } from '../../base/host.ts';
import type {
  ProcessEvents,
  RawProcess,
  RawRequest,
  SpawnEvents,
  SpawnStdio,
  SpawnTarget,
} from '../backend.ts';
import { Inherited, missingDescriptor } from '../shared/inherited.ts';
import { keepAllNonBlocking } from '../shared/non-blocking.ts';
import type { Id } from './addon.ts';
import type { Target } from './dispatch.ts';
import { addon, EXITED, register, unregister } from './dispatch.ts';
import { variables } from './environment.ts';
import { systemError } from './errors.ts';
import { UvStream } from './stream.ts';

const KEEP_ID = -1;
const FD_NULL = -1;
const FD_CLOSED = -2;
const SIGKILL = 9;
/** The steps in native/src/process.c that failed. */
const AT_DIRECTORY = 2;
const AT_USER = 3;

/**
 * Starts a child. `target.stdio` must not have a stream of Node's own. Throws a TypeError if `cwd` is a URL
 * of another scheme than `file:`.
 */
export function spawnProcess(target: SpawnTarget, events: SpawnEvents): RawRequest {
  const cwd = target.cwd instanceof URL ? fileURLToPath(target.cwd) : target.cwd;
  let child: UvProcess | null = null;
  let failure: Error | null = null;
  try {
    child = spawn(target, cwd);
  } catch (error) {
    failure = error as Error;
  }
  let wanted = true;
  hostNextTick(() => {
    if (!wanted) return;
    if (child === null) events.onError(failure as Error);
    else events.onSpawn(child);
  });
  return {
    cancel: () => {
      wanted = false;
      child?.abandon();
    },
  };
}

function spawn(target: SpawnTarget, cwd: string | null): UvProcess {
  const [program, args] = target.shell ? ['/bin/sh', ['-c', target.program]] : [target.program, target.args];
  const inherited = new Inherited();
  const pipes = new Pipes();
  try {
    const missing = missingDescriptor(target);
    if (missing !== null) throw missing;
    const fds = pipes.forChild(target.stdio, target.passFds);
    const id = addon().spawn(
      candidates(program as string, (target.env ?? process.env).PATH),
      [target.argv0 ?? (program as string), ...(args as string[])],
      variables(target.env),
      cwd,
      fds,
      target.uid ?? KEEP_ID,
      target.gid ?? KEEP_ID,
      target.detached,
    );
    if (id < 0) throw spawnError(id, target, cwd);
    return new UvProcess(id, pipes.take());
  } finally {
    pipes.close();
    inherited.close();
    keepAllNonBlocking();
  }
}

/** The paths of a program, in the order in which `execvp` tries them. */
function candidates(program: string, path: string = '/usr/local/bin:/bin:/usr/bin'): string[] {
  if (program.includes('/')) return [program];
  return path.split(':').map((folder) => `${folder === '' ? '.' : folder}/${program}`);
}

function spawnError(errno: number, target: SpawnTarget, cwd: string | null): Error {
  const { program } = target;
  if (addon().failedAt() === AT_DIRECTORY) {
    const error = systemError(errno, 'chdir');
    error.message = `spawn ${program}: cannot enter its working directory '${cwd}': ${error.message}`;
    return Object.assign(error, { path: cwd });
  }
  const syscall = addon().failedAt() === AT_USER ? 'setuid' : `spawn ${program}`;
  return Object.assign(systemError(errno, syscall), { path: program, spawnargs: [...target.args] });
}

/** The pipes of one child. All steps that can fail come before the child exists. */
class Pipes {
  readonly #ours: (UvStream | null)[] = [null, null, null];
  readonly #theirs: number[] = [];

  forChild(stdio: readonly SpawnStdio[], passFds: readonly number[]): Int32Array {
    const fds = stdio.map((kind, fd) => (kind.kind === 'stdout' ? FD_CLOSED : this.#one(kind, fd)));
    // stderr goes to the same place as stdout.
    for (const [fd, kind] of stdio.entries()) if (kind.kind === 'stdout') fds[fd] = fds[1] as number;
    const all = new Int32Array(Math.max(stdio.length, ...passFds.map((fd) => fd + 1))).fill(FD_CLOSED);
    all.set(fds);
    for (const fd of passFds) all[fd] = fd;
    return all;
  }

  /** Returns the parent's ends. The first is for writing, the others are for reading. */
  take(): (UvStream | null)[] {
    return this.#ours.splice(0);
  }

  /**
   * Closes the child's ends, which the child has inherited if there is a child, and the parent's ends that
   * were not taken.
   */
  close(): void {
    for (const stream of this.#ours) stream?.abort();
    for (const fd of this.#theirs) addon().closeFd(fd);
  }

  #one(kind: SpawnStdio, fd: number): number {
    switch (kind.kind) {
      case 'null':
        return FD_NULL;
      case 'fd':
        return kind.fd;
      case 'pipe':
        return this.#pipe(fd);
      default:
        return fd;
    }
  }

  #pipe(fd: number): number {
    const pair = addon().pipe();
    if (typeof pair === 'number') throw systemError(pair, 'pipe');
    const [ours, theirs] = fd === 0 ? [pair[1], pair[0]] : pair;
    this.#theirs.push(theirs);
    const id = addon().open(ours);
    if (id < 0) {
      addon().closeFd(ours);
      throw systemError(id, 'pipe');
    }
    this.#ours[fd] = new UvStream(id, fd === 0 ? 'write' : 'read');
    return theirs;
  }
}

class UvProcess implements RawProcess, Target {
  readonly id: Id;
  readonly pid: number;
  /** The host has no object for the child. */
  readonly handle: { readonly pid: number };
  readonly pipes: readonly (UvStream | null)[];
  #events: ProcessEvents | null = null;
  #code: number | null = null;

  constructor(id: Id, pipes: readonly (UvStream | null)[]) {
    this.id = id;
    this.pid = addon().pid(id);
    this.handle = { pid: this.pid };
    this.pipes = pipes;
    register(this);
  }

  open(events: ProcessEvents): void {
    this.#events = events;
    if (this.#code !== null) hostNextTick(() => this.#reportExit());
  }

  kill(signum: number): boolean {
    if (this.#code !== null) return false;
    const errno = addon().kill(this.id, signum);
    if (errno === 0) return true;
    const error = systemError(errno, 'kill');
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }

  /** Kills the child of a cancelled request. */
  abandon(): void {
    try {
      this.kill(SIGKILL);
    } catch {
      // The child may run as another user.
    }
    for (const pipe of this.pipes) pipe?.abort();
  }

  onEvent(kind: number, code: number, signum: number): void {
    if (kind !== EXITED) return;
    unregister(this);
    this.#code = signum > 0 ? -signum : code;
    this.#reportExit();
  }

  #reportExit(): void {
    this.#events?.onExit(this.#code as number);
  }
}
