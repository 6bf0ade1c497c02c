/**
 * A program on a simulated host. It is for its code what a process is: it has loops, a policy, and an end.
 *
 *   start ─▶ main runs on the program's own loop ─▶ main has returned ─▶ nothing keeps it alive ─▶ ended
 *                                                                        remaining tasks are cancelled
 *   stop()  cancels main, and goes on as above
 *   end()   from any state, at once: none of its code runs again, and its sockets are closed
 */

import { systemError } from '../backend/sim/errors.ts';
import type { Kernel } from '../backend/sim/kernel.ts';
import type { SimProcess } from '../backend/sim/machine/process.ts';
import type { DefaultAction } from '../backend/sim/machine/signals.ts';
import { ProgramSignals, SIGKILL, signalName } from '../backend/sim/machine/signals.ts';
import { CancelledError } from '../base/errors.ts';
import { outOfRange } from '../base/validate.ts';
import { printException } from '../loop/exception-handler.ts';
import type { ExceptionContext, Loop } from '../loop/types.ts';
import { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';
import type { EventLoopPolicy } from '../policy.ts';
import { Runner } from '../runner.ts';
import { asCancel, cancelNow } from '../tasks/cancellation.ts';
import type { Awaitable, Future } from '../tasks/future.ts';
import type { Task } from '../tasks/task.ts';
import { SimulationError } from './errors.ts';
import type { Place } from './place.ts';
import { placeLoop, runIn } from './place.ts';
import { ProgramEvents } from './program-events.ts';

/** The host, as its programs see it. */
export interface ProgramOwner {
  readonly name: string;
  readonly kernel: Kernel;
  /** undefined: each loop's own setting. */
  readonly debug: boolean | undefined;
  tell(kind: string, label: string): void;
  /** A loop of this host was made. */
  loopMade(loop: SimulatedEventLoop): void;
  /** A report of a loop that no handler of the user has taken. */
  report(context: ExceptionContext): void;
  fail(error: unknown): void;
  /** Returns a program of the host that runs, by its number. */
  programOfPid(pid: number): Program | null;
  programEnded(program: Program): void;
}

/** Thrown by `process.exit()` in a program, to leave the code that called it. */
class ProgramExit extends Error {
  override readonly name: string = 'ProgramExit';
}

/** The promises of programs, to name the program whose failure nobody handles. */
const results: WeakMap<Promise<unknown>, Program> = new WeakMap();

/** Returns the program of which `promise` is the result, or null. */
export function programOf(promise: Promise<unknown>): Program | null {
  return results.get(promise) ?? null;
}

export class Program implements Place {
  readonly name: string;
  readonly kernel: Kernel;
  readonly signals: ProgramSignals;
  readonly pid: number;
  readonly events: ProgramEvents;
  policy: EventLoopPolicy | null = null;
  readonly #owner: ProgramOwner;
  readonly #process: SimProcess | null;
  #alive: boolean = true;
  #stopping: boolean = false;
  #exiting: boolean = false;
  readonly #loops: Set<SimulatedEventLoop> = new Set();
  readonly #closers: Set<(crashed: boolean) => void> = new Set();
  #keepers: number = 0;
  #task: Task | null = null;
  /** Main waits for this after its function has returned. */
  #unused: Future<void> | null = null;
  #result: Promise<unknown> | null = null;
  #reject: (error: unknown) => void = () => {};
  #resolve: (value: unknown) => void = () => {};
  #onEnded: (() => void)[] = [];

  /** @param process the process that runs the program; null for a program that the scenario runs */
  constructor(owner: ProgramOwner, name: string, process: SimProcess | null = null) {
    this.#owner = owner;
    this.name = name;
    this.kernel = owner.kernel;
    this.#process = process;
    this.pid = process?.facts.pid ?? owner.kernel.machine.programs.newPid();
    if (process === null) {
      this.signals = new ProgramSignals(owner.kernel.host);
      this.signals.onDefault = (signum, action) => this.#defaultAction(signum, action);
    } else {
      this.signals = process.signals;
      process.onEnd.push(() => this.#processEnded());
    }
    this.events = new ProgramEvents(this.signals, (callback) => this.#call(callback));
  }

  // --- as a place ---

  get hostName(): string {
    return this.#owner.name;
  }

  get where(): string {
    return `host ${this.#owner.name}`;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** The loops that this program has made and not closed, in order. */
  get loops(): readonly SimulatedEventLoop[] {
    return [...this.#loops].filter((loop) => !loop.isClosed());
  }

  wallTime(): number {
    return this.kernel.host.wallTime() * 1000;
  }

  run<R>(fn: () => R): R {
    return runIn(this, fn);
  }

  soon(callback: () => void): void {
    this.kernel.host.soon(() => this.#call(callback));
  }

  at(when: number, callback: () => void): () => void {
    const event = this.kernel.host.at(when, () => this.#call(callback));
    return () => event.cancel();
  }

  keepAlive(): () => void {
    this.#keepers++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#keepers--;
      this.#checkUse();
    };
  }

  onEnd(callback: (crashed: boolean) => void): () => void {
    this.#closers.add(callback);
    return () => {
      this.#closers.delete(callback);
    };
  }

  exit(code: number): never {
    this.#emitExit(code);
    const text = `program ${this.name} of host ${this.hostName} has ended by process.exit(${code})`;
    this.#owner.tell('program', `${this.name} exits with ${code}`);
    this.#process?.exit(code);
    if (code === 0) this.#resolve(undefined);
    this.#reject(new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', text));
    this.#finish(false);
    throw new ProgramExit(text);
  }

  fail(error: unknown, what: string): void {
    if (!this.#alive || (this.#stopping && asCancel(error) !== null)) return;
    const text = `${what} in program ${this.name} of host ${this.hostName}: ${String(error)}`;
    this.#owner.tell('program', `${this.name} has failed: ${String(error)}`);
    if (this.#process !== null) {
      // Its parent learns of it, as of every process.
      this.#owner.report({ message: `${what} in program ${this.name}`, exception: error });
      this.#process.exit(1);
      return;
    }
    this.#owner.fail(new SimulationError('ERR_SIMULATION_UNHANDLED', text, { cause: error }));
  }

  /** The result of this program has failed, and nothing awaits it. */
  resultLost(error: unknown): void {
    const text = `program ${this.name} of host ${this.hostName} failed, and nothing awaits its result: ${String(error)}`;
    this.#owner.fail(new SimulationError('ERR_SIMULATION_UNHANDLED', text, { cause: error }));
  }

  newEventLoop(): SimulatedEventLoop {
    return this.run(() => new SimulatedEventLoop());
  }

  adopt(loop: SimulatedEventLoop): void {
    if (!this.#alive) {
      loop._kill();
      const text = `program ${this.name} of host ${this.hostName} has ended, so it can make no event loop`;
      throw new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', text);
    }
    for (const other of this.#loops) if (other.isClosed()) this.#loops.delete(other);
    this.#loops.add(loop);
    placeLoop(loop as Loop, this);
    if (this.#owner.debug !== undefined) loop.debug = this.#owner.debug;
    this.#owner.loopMade(loop);
  }

  running(loop: SimulatedEventLoop, run: Promise<void>): void {
    if (loop._isProgramLoop) return;
    const release = this.keepAlive();
    void run.then(release, release);
  }

  report(context: ExceptionContext): void {
    if (this.#alive) this.#owner.report(context);
    else printException(context);
  }

  // --- its life ---

  /**
   * Starts the program.
   *
   * @returns the result of `main`. It comes after the cleanup of the remaining tasks, or at once if something
   *   keeps the program alive
   */
  start<T>(main: () => Awaitable<T>): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve as (value: unknown) => void;
      this.#reject = reject;
    });
    results.set(result, this);
    this.#result = result;
    this.#owner.tell('program', `${this.name} starts`);
    void this.run(() => this.#live(main));
    return result;
  }

  async #live<T>(main: () => Awaitable<T>): Promise<void> {
    const loop = new SimulatedEventLoop();
    loop._isProgramLoop = true;
    const runner = new Runner({ loopFactory: () => loop });
    const task = loop.createTask(() => this.#main(loop, main), { name: this.name });
    this.#task = task as Task;
    let outcome: { value: T } | { error: unknown };
    try {
      outcome = { value: await runner.run(task) };
    } catch (error) {
      outcome = { error };
    }
    await runner.close();
    if (!this.#alive) return;
    this.#emitExit('value' in outcome ? 0 : 1);
    if (!this.#alive) return;
    if ('value' in outcome) {
      this.#owner.tell('program', `${this.name} ends`);
      this.#resolve(outcome.value);
    } else {
      this.#failed(outcome.error);
    }
    this.#finish(false);
  }

  #failed(error: unknown): void {
    this.#owner.tell('program', `${this.name} ends by ${nameOf(error)}`);
    this.#reject(error);
    if (this.#stopping && asCancel(error) === null) {
      const message = `exception in program ${this.name} while it was stopped`;
      this.#owner.report({ message, exception: error });
    }
  }

  async #main<T>(loop: SimulatedEventLoop, main: () => Awaitable<T>): Promise<T> {
    const value = await main();
    if (this.#keepers > 0) {
      this.#resolve(value);
      this.#owner.tell('program', `${this.name} goes on after its main function`);
      this.#unused = loop.createFuture<void>();
      await this.#unused;
    }
    return value;
  }

  /**
   * Cancels the program, and waits for its end.
   *
   * @param seconds of the world, after which it is ended at once
   * @param reason the message of the `CancelledError`
   */
  stop(seconds: number, reason: string): Promise<void> {
    if (!this.#alive) return Promise.resolve();
    if (this.#task === null) {
      this.end(false, new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', reason));
      return Promise.resolve();
    }
    const ended = new Promise<void>((resolve) => {
      this.#onEnded.push(resolve);
    });
    if (this.#stopping) return ended;
    this.#stopping = true;
    this.#excuse();
    const { timeline } = this.kernel.host;
    const limit = timeline.at(timeline.time() + seconds, () => this.#giveUp(seconds));
    this.#onEnded.push(() => limit.cancel());
    this.run(() => this.#cancel(reason));
    return ended;
  }

  /**
   * Ends the program at once: none of its code runs again.
   *
   * @param crashed nothing may be sent any more
   * @param error the rejection of its result, if it has none yet
   */
  end(crashed: boolean, error: Error): void {
    if (!this.#alive) return;
    this.#excuse();
    this.#reject(error);
    this.#finish(crashed);
  }

  /** The scenario ends the program, so nobody need handle that it has no result. */
  #excuse(): void {
    this.#result?.catch(() => {});
  }

  killProcess(pid: number, signum: number): true {
    const program = this.#owner.programOfPid(Math.abs(pid));
    if (program === null) throw systemError('ESRCH', 'kill');
    if (signum > 0) program.signal(signum);
    return true;
  }

  /** Calls the listeners of `process.on('exit')`, once. */
  #emitExit(code: number): void {
    if (!this.#alive || this.#exiting) return;
    this.#exiting = true;
    this.run(() => this.events.emit('exit', code));
  }

  /** Sends a signal: to the handlers of the program, or it has its default action. */
  signal(signum: number): void {
    if (!this.#alive) return;
    this.#owner.tell('signal', `${signalName(signum)} to program ${this.name}`);
    this.#excuse();
    this.signals.deliver(signum);
  }

  /** Kills the program: none of its code runs again, and a parent gets the signal as its exit code. */
  kill(crashed: boolean, error: Error): void {
    if (this.#process !== null && !crashed) this.#process.kill(SIGKILL);
    this.end(crashed, error);
  }

  #processEnded(): void {
    const text = `process ${this.name} of host ${this.hostName} has ended`;
    this.end(this.kernel.host.state === 'down', new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', text));
  }

  #defaultAction(signum: number, action: DefaultAction): void {
    const name = signalName(signum);
    if (action === 'stop')
      throw outOfRange('signal', name, 'a signal that does not stop a program: use pause()');
    const text = `program ${this.name} of host ${this.hostName} was ended by ${name}`;
    this.#owner.tell('program', `${this.name} is ended by ${name}`);
    this.end(false, new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', text));
  }

  #finish(crashed: boolean): void {
    const { host } = this.kernel;
    this.#alive = false;
    host.programEnds = true;
    try {
      for (const close of this.#closers) close(crashed);
      for (const loop of this.#loops) loop._kill();
    } finally {
      host.programEnds = false;
    }
    this.signals.clear();
    this.events.removeAllListeners();
    this.#closers.clear();
    this.#loops.clear();
    this.#owner.programEnded(this);
    for (const callback of this.#onEnded.splice(0)) callback();
  }

  #cancel(reason: string): void {
    for (const loop of this.loops) {
      if (loop._isProgramLoop) continue;
      for (const task of [...loop._owned.tasks] as unknown as Task[]) task.cancel(reason);
    }
    cancelNow(this.#task as Task, new CancelledError(reason));
  }

  #giveUp(seconds: number): void {
    const left = this.loops.flatMap((loop) => loop._owned.lines());
    this.#owner.report({
      message: `program ${this.name} was cancelled ${seconds} s ago, and has not ended`,
      left,
    });
    const text = `program ${this.name} of host ${this.hostName} did not end in time`;
    this.end(false, new SimulationError('ERR_SIMULATION_PROGRAM_ENDED', text));
  }

  #call(callback: () => void): void {
    if (!this.#alive) return;
    this.run(() => {
      try {
        callback();
      } catch (error) {
        // Here, because the context that names this program is gone when the exception has left it.
        Reflect.apply(process.emit, process, ['uncaughtException', error, 'uncaughtException']);
      }
    });
  }

  /** A loop that stops may run again in the same drain, so the decision waits for a turn. */
  #checkUse(): void {
    if (this.#unused === null || this.#keepers > 0) return;
    this.soon(() => {
      if (this.#keepers === 0 && this.#unused?.done() === false) this.#unused.setResult();
    });
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
