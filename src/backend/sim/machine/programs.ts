/** The programs that a simulated host has installed, and the processes that run them. */
import type {
  ProcessEvents,
  RawProcess,
  RawRequest,
  RawStream,
  SpawnEvents,
  SpawnTarget,
} from '../../backend.ts';
import { systemError } from '../errors.ts';
import type { Handles } from '../handles/handles.ts';
import type { SimHost } from '../host.ts';
import type { Descriptors } from './descriptors.ts';
import type { MemoryFiles } from './files.ts';
import { SimProcess } from './process.ts';
import type { ProgramStart } from './program.ts';
import type { Console } from './standard-streams.ts';
import { StandardStreams } from './standard-streams.ts';

/** Seconds that the kernel takes to start a process. */
const START_SECONDS = 0.001;
const FIRST_PID = 100;
const SHELL = '/bin/sh';
/** Programs are found by their name alone, and in these directories. */
const DIRECTORIES = /^\/(?:usr\/local\/bin|usr\/bin|bin)\//;

export class Programs {
  /** The environment of processes that get no other. */
  environment: Readonly<Record<string, string>> = { PATH: '/usr/local/bin:/usr/bin:/bin' };
  /** The working directory of processes that get no other. */
  cwd: string = '/';
  /** Output of processes that inherit stdout and stderr. */
  console: Console = (fd, data) => {
    process[fd === 1 ? 'stdout' : 'stderr'].write(data);
  };
  readonly #host: SimHost;
  readonly #descriptors: Descriptors;
  readonly #files: MemoryFiles;
  readonly #installed: Map<string, ProgramStart> = new Map();
  readonly #running: Map<number, SimProcess> = new Map();
  #lastPid: number = FIRST_PID - 1;

  constructor(host: SimHost, descriptors: Descriptors, files: MemoryFiles) {
    this.#host = host;
    this.#descriptors = descriptors;
    this.#files = files;
  }

  /**
   * Installs a program, in place of the one with the same name.
   *
   * @param name without a directory; or a path, as which alone it is found
   */
  install(name: string, start: ProgramStart): void {
    this.#installed.set(name, start);
  }

  /** Returns false if there is no such program. Processes that run it go on. */
  uninstall(name: string): boolean {
    return this.#installed.delete(name);
  }

  /** The processes that run, by pid. */
  get running(): ReadonlyMap<number, SimProcess> {
    return this.#running;
  }

  /** Returns the number of a new process. */
  newPid(): number {
    return ++this.#lastPid;
  }

  /** Starts a process for a loop. */
  spawn(target: SpawnTarget, handles: Handles, events: SpawnEvents): RawRequest {
    const event = this.#host.kernelAfter(START_SECONDS, () => {
      this.#host.soon(() => {
        if (wanted) this.#start(target, handles, events);
      });
    });
    let wanted = true;
    return {
      cancel: () => {
        wanted = false;
        event.cancel();
      },
    };
  }

  /** Ends all processes without a report, because the host has crashed. */
  crash(): void {
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const one of running) one.vanish();
  }

  #start(target: SpawnTarget, handles: Handles, events: SpawnEvents): void {
    let child: Child;
    let start: ProgramStart;
    try {
      start = this.#find(target);
      child = this.#process(target, handles);
    } catch (error) {
      events.onError(error as Error);
      return;
    }
    this.#host.soon(() => {
      if (child.process.alive) start(child.process);
    });
    events.onSpawn(child);
  }

  #find(target: SpawnTarget): ProgramStart {
    const program = target.shell ? SHELL : target.program;
    const found = this.#installed.get(program) ?? this.#installed.get(program.replace(DIRECTORIES, ''));
    if (found !== undefined) return found;
    const error = systemError('ENOENT', `spawn ${program}`);
    throw Object.assign(error, { path: program, spawnargs: [...target.args] });
  }

  #process(target: SpawnTarget, handles: Handles): Child {
    const { program, shell, args, env, argv0, uid, gid, detached, passFds } = target;
    const cwd = this.#cwdOf(target);
    const streams = new StandardStreams(this.#host, this.#descriptors, handles, this.console);
    const stdio = streams.open(target);
    const pid = this.newPid();
    const argv = shell ? [argv0 ?? SHELL, '-c', program] : [argv0 ?? program, ...args];
    const facts = {
      pid,
      argv,
      env: { ...(env ?? this.environment) },
      cwd,
      uid: uid ?? 0,
      gid: gid ?? 0,
      detached,
      descriptors: passFds,
      stdio,
    };
    const child = new Child(this.#host, streams.pipes, (onExit) => new SimProcess(this.#host, facts, onExit));
    this.#running.set(pid, child.process);
    child.process.onEnd.push(() => this.#running.delete(pid));
    return child;
  }

  #cwdOf({ cwd, program }: SpawnTarget): string {
    if (cwd === null) return this.cwd;
    const path = cwd instanceof URL ? decodeURIComponent(cwd.pathname) : cwd;
    if (this.#files.existsSync(path) && this.#files.statSync(path).isDirectory()) return path;
    const error = systemError(this.#files.existsSync(path) ? 'ENOTDIR' : 'ENOENT', 'chdir');
    error.message = `spawn ${program}: cannot enter its working directory '${path}': ${error.message}`;
    throw Object.assign(error, { path });
  }
}

/** A process, for the loop of its parent. */
class Child implements RawProcess {
  readonly pid: number;
  readonly pipes: readonly (RawStream | null)[];
  /** The host has no other object for it. */
  readonly handle: { readonly pid: number };
  readonly process: SimProcess;
  readonly #host: SimHost;
  #events: ProcessEvents | null = null;
  #code: number | null = null;

  constructor(
    host: SimHost,
    pipes: readonly (RawStream | null)[],
    make: (onExit: (code: number) => void) => SimProcess,
  ) {
    this.#host = host;
    this.pipes = pipes;
    this.process = make((code) => {
      this.#code = code;
      this.#report();
    });
    this.pid = this.process.facts.pid;
    this.handle = { pid: this.pid };
  }

  open(events: ProcessEvents): void {
    this.#events = events;
    if (this.#code !== null) this.#report();
  }

  kill(signum: number): boolean {
    return this.process.kill(signum);
  }

  #report(): void {
    const events = this.#events;
    if (events !== null) this.#host.soon(() => events.onExit(this.#code as number));
  }
}
