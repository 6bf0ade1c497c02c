/** Runs one main function on a new loop, and cleans everything up at the end. */

import { CancelledError, LoopError } from './base/errors.ts';
import { showInOneLine } from './base/one-line.ts';
import {
  checkBoolean,
  checkFunction,
  checkOptions,
  checkSignal,
  invalidArgType,
  outOfRange,
} from './base/validate.ts';
import { BaseEventLoop } from './event-loop.ts';
import { runningLoopOrNull } from './loop/context.ts';
import { newEventLoop } from './policy.ts';
import type { SignalOptions } from './tasks/abort-signal.ts';
import { cancelOnAbort } from './tasks/abort-signal.ts';
import { cancelNow } from './tasks/cancellation.ts';
import { isAwaitable } from './tasks/ensure-future.ts';
import type { Awaitable } from './tasks/future.ts';
import { Future } from './tasks/future.ts';
import type { Scope } from './tasks/scope.ts';
import type { TaskOptions } from './tasks/task.ts';
import { Task } from './tasks/task.ts';
import { ignoreUnawaitedCancels } from './tasks/unawaited-cancels.ts';
import { waitFor } from './tasks/wait-for.ts';

/** Signals that ask a program to end: from Ctrl-C, and from `kill`, systemd or Docker. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Seconds until a cleanup after a signal is reported, because the sender of the signal is waiting. */
const CLEANUP_SECONDS = 1;

type EndingSignal = (typeof ENDING_SIGNALS)[number];

interface Cancellable {
  cancel(): void;
}

/** Seconds, as in asyncio. */
const EXECUTOR_SHUTDOWN_SECONDS = 300;

export interface RunnerOptions {
  /** Runs the loop in debug mode. Default: the loop's own setting. */
  debug?: boolean;
  /** Makes the loop. Default: `newEventLoop`. */
  loopFactory?: () => BaseEventLoop;
}

/** The options of {@link run}. */
export interface RunOptions extends RunnerOptions, SignalOptions {}

const RUNNER_OPTIONS = ['debug', 'loopFactory'];

/**
 * Runs several main functions on one loop; it is `run()` in parts.
 *
 * Closing it cancels the remaining tasks, waits for them, and closes the loop.
 *
 * @example
 * ```ts
 * import { Runner, sleep } from 'gyre';
 *
 * await using runner = new Runner();
 * const word = await runner.run(async () => {
 *   await sleep(0.01);
 *   return 'first';
 * });
 * console.log(word);
 * ```
 */
export class Runner implements AsyncDisposable {
  readonly #options: RunnerOptions;
  #loop: BaseEventLoop | null = null;
  #closed: boolean = false;
  /** The signal that ended the last run. */
  #signal: EndingSignal | null = null;

  constructor(options: RunnerOptions = {}) {
    checkOptions('options', options, RUNNER_OPTIONS);
    if (options.debug !== undefined) checkBoolean('options.debug', options.debug);
    if (options.loopFactory !== undefined) checkFunction('options.loopFactory', options.loopFactory);
    this.#options = options;
  }

  /** @internal */
  _facts(): string {
    return this.#closed ? 'closed' : this.#loop === null ? 'no loop yet' : this.#loop._facts();
  }

  /** Returns the loop, which the first call makes. */
  getLoop(): BaseEventLoop {
    if (this.#closed) throw new LoopError('ERR_LOOP_CLOSED', 'this runner is closed');
    if (this.#loop === null) {
      const loop = (this.#options.loopFactory ?? newEventLoop)();
      if (!(loop instanceof BaseEventLoop)) {
        throw invalidArgType('options.loopFactory', loop, 'a function that returns an event loop');
      }
      // Don't take ownership of this loop and don't close it, because it belongs to other code.
      if (loop.isClosed())
        throw new LoopError('ERR_LOOP_CLOSED', 'options.loopFactory returned a closed event loop');
      if (loop.isRunning())
        throw new LoopError('ERR_LOOP_RUNNING', 'options.loopFactory returned a running event loop');
      if (this.#options.debug !== undefined) loop.debug = this.#options.debug;
      this.#loop = loop;
    }
    return this.#loop;
  }

  /**
   * Runs `main` as a task until it is done, and returns its result.
   *
   * The first `SIGINT` or `SIGTERM` cancels `main`, and `run` rejects with the `CancelledError` after the
   * cleanup of `main`. A second signal kills the process: see {@link run}.
   *
   * @param options `signal`: an abort cancels `main`; if it is aborted already, `main` never starts.
   *   `context`: the async context in which the function `main` runs
   * @throws LoopError `ERR_LOOP_RUNNING` if the caller is code of a loop; `ERR_LOOP_CLOSED`
   */
  run<T>(
    main: (() => Awaitable<T>) | Awaitable<T>,
    options: Pick<TaskOptions, 'signal' | 'context'> = {},
  ): Promise<T> {
    checkOptions('options', options, ['signal', 'context']);
    const { signal, context } = options;
    checkSignal('options.signal', signal);
    if (typeof main !== 'function' && !isAwaitable(main)) {
      throw invalidArgType('main', main, 'an async function or a promise');
    }
    if (typeof main !== 'function' && context !== undefined) {
      throw outOfRange('options.context', context, 'given with a function: a task or a promise has its own');
    }
    if (!isFree(runningLoopOrNull() as BaseEventLoop | null)) {
      throw new LoopError(
        'ERR_LOOP_RUNNING',
        'run() was called from code of a running loop: use await main() there',
      );
    }
    const loop = this.getLoop();
    if (loop.isRunning()) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    if (main instanceof Future && main._loop !== loop) {
      throw outOfRange('main', main, "of this runner's loop, not of another one");
    }
    const task =
      main instanceof Task
        ? main
        : loop.createTask(main as () => PromiseLike<T>, { name: 'main', ...(context && { context }) });
    return this.#run(loop, cancelOnAbort(task as Task<T>, signal));
  }

  /**
   * Cancels the remaining tasks, waits for them, and closes the loop, which reports everything that is still
   * open. A second call does nothing.
   *
   * @throws LoopError `ERR_LOOP_RUNNING` (as a rejection) while `run()` is in progress
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    const loop = this.#loop;
    if (loop?.isRunning()) {
      throw new LoopError('ERR_LOOP_RUNNING', 'a runner cannot be closed while its run() is in progress');
    }
    this.#closed = true;
    if (loop === null || loop.isClosed()) return;
    const restore = ignoreUnawaitedCancels();
    try {
      await cancelRemaining(loop, this.#signal);
      await endExecutor(loop);
    } finally {
      loop.close();
      restore();
    }
  }

  /** Calls {@link close}, as in `await using runner = new Runner()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run<T>(loop: BaseEventLoop, task: Task<T>): Promise<T> {
    this.#signal = null;
    const ending = new Ending(loop, [task as Task]);
    ending.listen((signal) => {
      this.#signal = signal;
      cancelNow(task, new CancelledError(`interrupted by ${signal}`, { cause: signal }));
    });
    const restore = ignoreUnawaitedCancels();
    try {
      return await loop.runUntilComplete(task);
    } finally {
      restore();
      ending.over();
    }
  }
}

showInOneLine(Runner);

/** Returns true if `run()` may begin here: outside of every loop, or on the loop of a simulated program. */
function isFree(running: BaseEventLoop | null): boolean {
  return running === null || running._isProgramLoop;
}

/**
 * The end of a runner's tasks on a signal. The first signal is handled, and the cleanup is watched. After it,
 * signals have their default action again, so that a second signal kills the process. A signal for which the
 * program or the loop has a handler is left to that handler.
 */
class Ending {
  readonly #loop: BaseEventLoop;
  readonly #tasks: readonly Task[];
  readonly #requests: Cancellable[] = [];
  #timer: Cancellable | null = null;

  constructor(loop: BaseEventLoop, tasks: readonly Task[]) {
    this.#loop = loop;
    this.#tasks = tasks;
  }

  /** @param onSignal called as code of the loop, at most once */
  listen(onSignal: (signal: EndingSignal) => void): void {
    const { signals } = this.#loop._backend;
    if (signals === null) return;
    for (const signal of ENDING_SIGNALS) {
      const signum = signals.numbers[signal] as number;
      const onRequest = (): void => {
        if (this.#loop._hasSignalHandler(signum)) return;
        this.#unlisten();
        this.watch(signal);
        this.#loop.callSoonThreadsafe(onSignal, signal);
      };
      this.#requests.push(signals.interrupt(signum, onRequest));
    }
  }

  /** The signal has come. Reports once if tasks are still there after a while. */
  watch(signal: EndingSignal): void {
    const loop = this.#loop;
    this.#timer = loop._scheduler.callAt(loop.time() + CLEANUP_SECONDS, () => this.#report(signal), []);
  }

  /** The tasks have ended. */
  over(): void {
    this.#unlisten();
    this.#timer?.cancel();
  }

  #unlisten(): void {
    for (const request of this.#requests.splice(0)) request.cancel();
  }

  #report(signal: EndingSignal): void {
    const tasks = this.#tasks.filter((task) => !task.done());
    if (tasks.length === 0) return;
    const names = tasks.map(({ name }) => name).join(', ');
    this.#loop.callExceptionHandler({
      message:
        `${CLEANUP_SECONDS} second after ${signal}, the cleanup of task ${names} is not done; ` +
        'a second signal kills the process',
      tasks,
      left: this.#loop._owned.lines(),
    });
  }
}

/**
 * Runs an async function from beginning to end: makes a loop, runs `main`, cancels and awaits the remaining
 * tasks, and closes the loop.
 *
 * @param main an async function, run as a task
 * @param options `debug`; `loopFactory` makes the loop, for example `() => new SimulatedEventLoop()` for
 *   virtual time; `signal`: an `AbortSignal` whose abort cancels `main`
 * @returns the result of `main`
 * @throws the exception of `main`; LoopError `ERR_LOOP_RUNNING` if the caller is code of a loop
 *
 * **Cancellation** The first `SIGINT` or `SIGTERM` cancels `main`, and `run()` waits for its cleanup and for
 * the remaining tasks. If that takes longer than a second, the exception handler gets one report with the
 * tasks that block and everything that is left in the loop. A second signal kills the process, by the
 * signal's default action. `run()` ignores a signal for which the program has a listener (`process.on()`) or
 * the loop a handler (`loop.addSignalHandler`). Worker threads receive no signals. A `main` that never awaits
 * blocks the thread, so no signal can reach it.
 *
 * **Exit status** After a signal, `run()` rejects with a {@link CancelledError} whose `cause` is the signal's
 * name. At the top level of a module, Node prints this error and exits with 1. Shells and supervisors expect
 * another status (130, 143). To get it, end the process with the signal itself, which has its default action
 * by then: `process.kill(process.pid, error.cause)`.
 *
 * @example
 * ```ts
 * import { run, sleep } from 'gyre';
 *
 * const answer = await run(async () => {
 *   await sleep(0.01);
 *   return 42;
 * });
 * console.log(answer);
 * ```
 */
export function run<T>(main: () => Awaitable<T>, options: RunOptions = {}): Promise<T> {
  checkOptions('options', options, [...RUNNER_OPTIONS, 'signal']);
  const { signal, ...rest } = options;
  const runner = new Runner(rest);
  try {
    return closeAfter(runner, runner.run(main, signal === undefined ? {} : { signal }));
  } catch (error) {
    void runner.close();
    throw error;
  }
}

async function closeAfter<T>(runner: Runner, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } finally {
    await runner.close();
  }
}

/** Waits for functions that run in threads, as asyncio does. After this time they are ended with the loop. */
async function endExecutor(loop: BaseEventLoop): Promise<void> {
  if (!loop._hasDefaultExecutor) return;
  try {
    await loop.runUntilComplete(() => waitFor(loop.shutdownDefaultExecutor(), EXECUTOR_SHUTDOWN_SECONDS));
  } catch (exception) {
    loop.callExceptionHandler({ message: 'the default executor did not end', exception });
  }
}

/** @param signal a signal that has already come, so that the next one counts as the second; or null */
async function cancelRemaining(loop: BaseEventLoop, signal: EndingSignal | null): Promise<void> {
  const { loose } = loop._owned;
  // A body that its timeout has abandoned is done, but still listed.
  const tasks = ([...loop._owned.tasks] as unknown as Task[]).filter((task) => !task.done());
  if (tasks.length === 0 && loose.size === 0) return;
  const scopes = [...loose] as Scope[];
  for (const task of tasks) task.cancel('run() has ended, so it cancels the remaining tasks');
  for (const scope of scopes) scope.cancelWaits('the loop is about to be closed');
  const ending = new Ending(loop, tasks);
  if (signal !== null) ending.watch(signal);
  else ending.listen(() => {});
  try {
    await loop.runUntilComplete(async () => {
      for (const task of tasks) await task.catch(() => {});
      await looseCodeEnded(loop);
    });
  } finally {
    ending.over();
  }
  for (const task of tasks) {
    if (!task.done() || task.cancelled() || task.exception() === null) continue;
    loop.callExceptionHandler({
      message: `exception in task ${task.name} while the loop was shut down`,
      exception: task.exception(),
      task,
    });
  }
}

/**
 * Gives cancelled code outside of tasks time to clean up, but not forever, because it may wait for anything.
 */
async function looseCodeEnded(loop: BaseEventLoop): Promise<void> {
  const { loose } = loop._owned;
  if (loose.size === 0) return;
  const idle = loop.createFuture<void>();
  loose.onIdle(() => idle.setResult());
  const timer = loop.callLater(CLEANUP_SECONDS, () => {
    loose.onIdle(null);
    idle.setResult();
    loop.callExceptionHandler({
      message:
        `code outside of every task was cancelled at the end of run(), and is still waiting ${CLEANUP_SECONDS} second later: ` +
        'make it a task with createTask(), or rethrow its CancelledError',
    });
  });
  await idle;
  timer.cancel();
}
