/** A simulated machine, as a scenario sees it. */

import type { SimHost } from '../backend/sim/host.ts';
import { formatSockets, socketRows } from '../backend/sim/inet/netstat.ts';
import type { Kernel } from '../backend/sim/kernel.ts';
import type { MemoryFiles } from '../backend/sim/machine/files.ts';
import type { SimProcess } from '../backend/sim/machine/process.ts';
import type { ProgramMain, RunMain } from '../backend/sim/machine/program.ts';
import { programOf } from '../backend/sim/machine/program.ts';
import { SIGNALS } from '../backend/sim/machine/signals.ts';
import {
  checkFunction,
  checkInteger,
  checkOptions,
  checkSeconds,
  checkString,
  outOfRange,
} from '../base/validate.ts';
import type { ExceptionContext } from '../loop/types.ts';
import type { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';
import { isAwaitable } from '../tasks/ensure-future.ts';
import type { Awaitable } from '../tasks/future.ts';
import { SimulationError } from './errors.ts';
import type { ProgramOwner } from './program.ts';
import { Program } from './program.ts';

/** The world, as its hosts see it. */
export interface HostWorld {
  readonly debug: boolean | undefined;
  /** Seconds of the world that a cancelled program has to clean up. */
  readonly cleanupLimit: number;
  tell(host: string, kind: string, label: string): void;
  loopMade(host: string, loop: SimulatedEventLoop): void;
  report(host: string, context: ExceptionContext): void;
  fail(error: unknown): void;
  /** Throws if the simulation has ended. */
  checkOpen(): void;
}

export interface ProgramOptions {
  /** The name in errors, reports and the trace. Default: `main`. */
  name?: string;
}

export interface SkewOptions {
  /** Seconds by which the wall clock is ahead of the right time from now on. Default: as before. */
  offset?: number;
  /** Seconds that the clocks of the host move in one second of the world. Default: as before. */
  rate?: number;
}

/** A program that ran when its host crashed or was killed, so that `restart()` runs it again. */
interface Lost {
  readonly main: () => Awaitable<unknown>;
  readonly name: string;
}

const MAX_SIGNAL = 64;

/**
 * A simulated machine. `world.host()` makes it.
 *
 * Its programs are what processes are: `run()` starts one, each has an event loop, and an unmodified program
 * that calls `run(main)`, `newEventLoop()` or `getEventLoop()` of gyre gets loops of this host.
 */
export class Host implements AsyncDisposable {
  /** The name, which every other host can look up. */
  readonly name: string;
  /** Without the loopback addresses, which every host has: `127.0.0.1` and `::1`. */
  readonly addresses: readonly string[];
  /** @internal */ readonly _kernel: Kernel;
  readonly #world: HostWorld;
  readonly #owner: ProgramOwner;
  /** With null for processes, which their parent starts and not the scenario. */
  readonly #programs: Map<Program, Lost | null> = new Map();
  #lost: Lost[] = [];
  /** For code that belongs to no program: see {@link enter}. */
  #shell: Program | null = null;

  /** Use `world.host()`. @internal */
  constructor(kernel: Kernel, world: HostWorld) {
    const { name, addresses } = kernel.host;
    this.name = name;
    this.addresses = addresses;
    this._kernel = kernel;
    this.#world = world;
    this.#owner = {
      name,
      kernel,
      debug: world.debug,
      tell: (kind, label) => world.tell(name, kind, label),
      loopMade: (loop) => world.loopMade(name, loop),
      report: (context) => world.report(name, context),
      fail: (error) => world.fail(error),
      programOfPid: (pid) => this._programs.find((program) => program.pid === pid) ?? null,
      programEnded: (program) => this.#programs.delete(program),
    };
  }

  /** `up`; `paused`: its programs do nothing, and its kernel answers the network; `down`: it has crashed. */
  get state(): 'up' | 'paused' | 'down' {
    return this.#sim.state;
  }

  /** The names of the programs that run. */
  get programs(): readonly string[] {
    return [...this.#programs.keys()].map(({ name }) => name);
  }

  /** Returns the seconds on the monotonic clock of this host, which is the clock of its loops. */
  time(): number {
    return this.#sim.time();
  }

  /** Returns the date on the wall clock of this host. */
  date(): Date {
    return new Date(this.#sim.wallTime() * 1000);
  }

  // --- programs ---

  /**
   * Starts a program, as a process: `main` runs as a task on a new loop of this host. It may call `run()` of
   * gyre, like the first module of a process.
   *
   * When `main` has returned, the program's remaining tasks are cancelled and awaited, as `run()` does.
   * But a loop that another `run()` in it runs keeps the program alive, and so does an open server or socket
   * of Node in it, as with a process.
   *
   * @param main an async function
   * @returns the result of `main`, when the program has ended; if something keeps it alive, when `main` has
   *   returned. It rejects with the exception of `main`; with `ERR_SIMULATION_PROGRAM_ENDED`, if the program
   *   ended before it had a result. If the promise is not awaited and `main` fails, the simulation fails
   * @throws SimulationError `ERR_SIMULATION_HOST_DOWN`, `ERR_SIMULATION_ENDED`
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from 'gyre';
   * import { simulate } from 'gyre/sim';
   *
   * await simulate({ seed: 1 }, async (world) => {
   *   const host = world.host('server');
   *   console.log(await host.run(async () => getRunningLoop().time())); // 0
   *   console.log(await host.run(() => run(async () => 'a program of its own')));
   * });
   * ```
   */
  run<T>(main: () => Awaitable<T>, options: ProgramOptions = {}): Promise<T> {
    checkFunction('main', main);
    checkOptions('options', options, ['name']);
    if (options.name !== undefined) checkString('options.name', options.name);
    this.#checkUp();
    return this.#start({ main, name: options.name ?? 'main' }) as Promise<T>;
  }

  /**
   * Sends a signal to the programs of this host. As with a process, the first `SIGINT` or `SIGTERM` cancels
   * the main task of `run()`; a program without a handler is ended at once.
   *
   * @param signal a name of Linux (`'SIGTERM'`) or a number
   * @param program only to the program of this name. Default: to all
   * @throws RangeError for an unknown signal or program; for `SIGSTOP`, and for a signal whose default action
   *   is to stop a program that does not handle it: see {@link pause}
   */
  signal(signal: string | number, program?: string): void {
    const signum = typeof signal === 'string' ? SIGNALS[signal] : signal;
    if (signum === undefined) throw outOfRange('signal', signal, "a signal of Linux, as 'SIGTERM'");
    checkInteger('signal', signum, 1, MAX_SIGNAL);
    if (signum === SIGNALS.SIGSTOP)
      throw outOfRange('signal', signal, 'another signal: pause() stops a host');
    if (program !== undefined) checkString('program', program);
    this.#checkUp();
    const programs = [...this.#programs.keys()].filter(
      ({ name }) => program === undefined || name === program,
    );
    if (program !== undefined && programs.length === 0) {
      const accepted = `a program of host ${this.name} that runs (${this.programs.join(', ') || 'none'})`;
      throw outOfRange('program', program, accepted);
    }
    for (const one of programs) one.signal(signum);
  }

  /**
   * Calls `fn` at once as code of this host, but of none of its programs. The loops that it makes end with
   * the host.
   */
  enter<R>(fn: () => R): R {
    checkFunction('fn', fn);
    this.#checkUp();
    if (this.#shell === null || !this.#shell.alive) this.#shell = new Program(this.#owner, 'shell');
    return this.#shell.run(fn);
  }

  /**
   * Installs a program, which code of this host can start as a subprocess: `createSubprocessExec('worker')`.
   * The processes that run it are programs of this host, each with a loop of its own.
   *
   * @param name a name without a directory, which is found in `/usr/bin` and the like; or a path
   * @param main gets the process: its arguments, environment, standard streams and signals. Returns the exit
   *   code; none is 0. If it throws, the error is printed to stderr, and the code is 1
   *
   * @example
   * ```ts
   * import { createSubprocessExec, PIPE } from 'gyre';
   * import { simulate } from 'gyre/sim';
   *
   * await simulate({ seed: 1 }, async (world) => {
   *   const host = world.host('server');
   *   host.install('greet', async ({ argv, stdout }) => {
   *     await stdout.write(`hello ${argv[1]}`);
   *     return 3;
   *   });
   *   await host.run(async () => {
   *     const child = await createSubprocessExec('greet', ['world'], { stdout: PIPE });
   *     const [output] = await child.communicate();
   *     console.log(String(output), child.returncode); // hello world 3
   *   });
   * });
   * ```
   */
  install(name: string, main: ProgramMain): void {
    checkString('name', name);
    if (name === '') throw outOfRange('name', name, 'the name or path of a program');
    checkFunction('main', main);
    this.#world.checkOpen();
    const run: RunMain = (body, process) => this.#runProcess(body, process);
    this._kernel.machine.programs.install(name, programOf(main, run));
  }

  /** Removes an installed program. Returns false if there is none. Processes that run it go on. */
  uninstall(name: string): boolean {
    this.#world.checkOpen();
    return this._kernel.machine.programs.uninstall(name);
  }

  /**
   * The files of this host, in memory, with the synchronous methods of `node:fs`. They survive a crash. Code
   * of gyre on this host finds them by their paths; `node:fs` itself is that of the real machine.
   */
  get files(): MemoryFiles {
    return this._kernel.machine.memory;
  }

  /** Returns the sockets of this host as text, in the columns of `netstat -an` of Linux. */
  netstat(): string {
    return formatSockets(socketRows(this._kernel.network));
  }

  /**
   * Ends every program in good order: cancels it, and waits until it has cleaned up, or until the
   * `cleanupLimit` of the world has passed. The host stays up.
   */
  async shutdown(): Promise<void> {
    this.#world.checkOpen();
    await this._stop(`host ${this.name} was shut down`);
  }

  /** Calls {@link shutdown}, as in `await using host = world.host('server')`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this._stop(`host ${this.name} was shut down`);
  }

  // --- faults ---

  /**
   * Stops the programs of this host for a while, as a long garbage collection does. Its kernel goes on: it
   * accepts connections and acknowledges data, until the buffers are full.
   *
   * @returns an object that resumes the host at the end of its scope: `using pause = host.pause()`
   */
  pause(): Disposable {
    this.#checkUp();
    if (this.state === 'up') {
      this.#tell('is paused');
      this.#sim.pause();
    }
    return { [Symbol.dispose]: () => this.resume() };
  }

  /** Lets the programs go on. Does nothing if the host is not paused. */
  resume(): void {
    if (this.state !== 'paused') return;
    this.#tell('resumes');
    this.#sim.resume();
  }

  /**
   * Cuts the power: everything ends at once, and nothing is sent. Peers notice it by a timeout, or by the RST
   * with which the host answers after its restart. Its files stay. Does nothing on a host that is down.
   *
   * The results of its programs reject with `ERR_SIMULATION_PROGRAM_ENDED`, which need not be handled.
   */
  crash(): void {
    this.#world.checkOpen();
    if (this.state === 'down') return;
    this.#tell('crashes');
    this.#sim.crash(() => this.#endAll(true, 'crashed'));
  }

  /**
   * Kills the programs, as `kill -9` does. The kernel lives, and closes their sockets by FIN, or by RST if
   * data was not read.
   */
  kill(): void {
    this.#checkUp();
    this.#tell('kills its programs');
    this.#endAll(false, 'was killed');
    this._kernel.network.killPrograms();
  }

  /**
   * Starts the host again, after a crash or while it runs; then its programs are killed before.
   *
   * @param main the program to run. Default: the programs that ran when the host crashed or was killed
   * @returns the result of `main`, or of all programs: see {@link run}
   */
  restart(): Promise<unknown>;
  restart<T>(main: () => Awaitable<T>, options?: ProgramOptions): Promise<T>;
  restart(main?: () => Awaitable<unknown>, options: ProgramOptions = {}): Promise<unknown> {
    this.#world.checkOpen();
    if (main !== undefined) checkFunction('main', main);
    if (this.state !== 'down' && this.#programs.size > 0) this.kill();
    this.resume();
    this.#tell('starts');
    this.#sim.boot();
    const lost = this.#lost;
    this.#lost = [];
    if (main !== undefined) return this.run(main, options);
    return all(lost.map((program) => this.#start(program)));
  }

  /**
   * Makes the clocks of this host wrong, as machines without a time server have them. The `rate` also
   * concerns its timers.
   */
  skew(options: SkewOptions): void {
    checkOptions('options', options, ['offset', 'rate']);
    const { offset = this.#sim.wallOffset, rate } = options;
    checkSeconds('options.offset', offset);
    if (!Number.isFinite(offset)) throw outOfRange('options.offset', offset, 'a finite number of seconds');
    if (rate !== undefined) {
      checkSeconds('options.rate', rate);
      if (!(rate > 0 && rate < Number.POSITIVE_INFINITY))
        throw outOfRange('options.rate', rate, 'a finite number, more than 0');
    }
    this.#world.checkOpen();
    this.#tell(`has a clock with offset ${offset} s${rate === undefined ? '' : ` and rate ${rate}`}`);
    if (rate !== undefined) this.#sim.setRate(rate);
    this.#sim.wallOffset = offset;
  }

  // --- for the world ---

  /** Ends every program in good order. @internal */
  async _stop(reason: string): Promise<void> {
    this.resume();
    const seconds = this.#world.cleanupLimit;
    await Promise.all([...this.#programs.keys()].map((program) => program.stop(seconds, reason)));
    await this.#shell?.stop(seconds, reason);
  }

  /** Ends every program at once. @internal */
  _end(): void {
    this.#endAll(false, 'ended with the simulation');
  }

  /** @internal */
  get _programs(): readonly Program[] {
    const shell = this.#shell === null || !this.#shell.alive ? [] : [this.#shell];
    return [...this.#programs.keys(), ...shell];
  }

  get #sim(): SimHost {
    return this._kernel.host;
  }

  #start({ main, name }: Lost): Promise<unknown> {
    const program = new Program(this.#owner, this.#freeName(name));
    this.#programs.set(program, { main, name });
    return program.start(async () => {
      const value: unknown = main();
      return isAwaitable(value) ? await value : value;
    });
  }

  #runProcess(main: Parameters<RunMain>[0], process: SimProcess): Promise<number | void> {
    const program = new Program(this.#owner, this.#freeName(process.facts.argv[0] as string), process);
    this.#programs.set(program, null);
    const result = program.start(async () => await main());
    // A process that has ended prints nothing more.
    return result.catch((error) => {
      if (process.alive) throw error;
      return new Promise(() => {});
    });
  }

  #freeName(name: string): string {
    const names = new Set(this.programs);
    for (let number = 1; ; number++) {
      const free = number === 1 ? name : `${name} ${number}`;
      if (!names.has(free)) return free;
    }
  }

  #endAll(crashed: boolean, how: string): void {
    const programs = [...this.#programs];
    this.#lost = programs.flatMap(([, lost]) => lost ?? []);
    for (const [program] of programs) {
      const text = `program ${program.name} has no result, because host ${this.name} ${how}`;
      program.kill(crashed, new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', text));
    }
    this.#shell?.end(crashed, new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', how));
  }

  #tell(what: string): void {
    this.#world.tell(this.name, 'host', what);
  }

  #checkUp(): void {
    this.#world.checkOpen();
    if (this.state !== 'down') return;
    const text = `host ${this.name} has crashed: call restart() first`;
    throw new SimulationError('ERR_SIMULATION_HOST_DOWN', text);
  }
}

/** Awaits all results, and fails with the first failure. */
async function all(results: readonly Promise<unknown>[]): Promise<unknown> {
  const values = await Promise.all(results);
  return values.length === 1 ? values[0] : values;
}
