/** The front door: a loop for one main function, with everything put away at the end. */
import { CancelledError, LoopError } from './base/errors.ts';
import { checkBoolean, checkFunction, checkOptions, invalidArgType, outOfRange } from './base/validate.ts';
import { BaseEventLoop } from './event-loop.ts';
import { runningLoopOrNull } from './loop/context.ts';
import { newEventLoop } from './policy.ts';
import { cancelNow } from './tasks/cancellation.ts';
import { isAwaitable } from './tasks/ensure-future.ts';
import type { Awaitable } from './tasks/future.ts';
import { Future } from './tasks/future.ts';
import type { Scope } from './tasks/scope.ts';
import { Task } from './tasks/task.ts';
import { ignoreUnawaitedCancels } from './tasks/unawaited-cancels.ts';
import { waitFor } from './tasks/wait-for.ts';

/** What asks a program to end: Ctrl-C, and `kill`, systemd or Docker. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Seconds. A cleanup that takes longer after a signal is named: whoever sent it is waiting by then. */
const CLEANUP_SECONDS = 1;

type EndingSignal = (typeof ENDING_SIGNALS)[number];

interface Cancellable {
  cancel(): void;
}

/** asyncio's. */
const EXECUTOR_SHUTDOWN_SECONDS = 300;

export interface RunnerOptions {
  /** Runs the loop in debug mode. Default: what the loop has. */
  debug?: boolean;
  /** Makes the loop. Default: `newEventLoop`. */
  loopFactory?: () => BaseEventLoop;
}

/**
 * Several main functions on one loop: `run()` in parts.
 *
 * Closing it cancels the tasks that are left, waits for them, and closes the loop.
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
    checkOptions('options', options, ['debug', 'loopFactory']);
    if (options.debug !== undefined) checkBoolean('options.debug', options.debug);
    if (options.loopFactory !== undefined) checkFunction('options.loopFactory', options.loopFactory);
    this.#options = options;
  }

  /** The loop, made at the first call. */
  getLoop(): BaseEventLoop {
    if (this.#closed) throw new LoopError('ERR_LOOP_CLOSED', 'this runner is closed');
    if (this.#loop === null) {
      const loop = (this.#options.loopFactory ?? newEventLoop)();
      if (!(loop instanceof BaseEventLoop)) {
        throw invalidArgType('options.loopFactory', loop, 'a function that answers an event loop');
      }
      // Not taken over, so not closed in the end either: it is somebody else's.
      if (loop.isClosed())
        throw new LoopError('ERR_LOOP_CLOSED', 'options.loopFactory answered a closed event loop');
      if (loop.isRunning())
        throw new LoopError('ERR_LOOP_RUNNING', 'options.loopFactory answered a running event loop');
      if (this.#options.debug !== undefined) loop.debug = this.#options.debug;
      this.#loop = loop;
    }
    return this.#loop;
  }

  /**
   * Runs `main` as a task until it is done, and answers its result.
   *
   * The first `SIGINT` or `SIGTERM` cancels it, and `run` rejects with the `CancelledError` once its cleanup
   * is done; a second one kills the process: see {@link run}.
   *
   * @throws LoopError `ERR_LOOP_RUNNING` when called from the code of a loop; `ERR_LOOP_CLOSED`
   */
  run<T>(main: (() => Awaitable<T>) | Awaitable<T>): Promise<T> {
    if (typeof main !== 'function' && !isAwaitable(main)) {
      throw invalidArgType('main', main, 'an async function or a promise');
    }
    if (runningLoopOrNull() !== null) {
      throw new LoopError(
        'ERR_LOOP_RUNNING',
        'run() was called from the code of a running loop: await main() there',
      );
    }
    const loop = this.getLoop();
    if (loop.isRunning()) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    if (main instanceof Future && main._loop !== loop) {
      throw outOfRange('main', main, "of this runner's loop, not of another one");
    }
    const task =
      main instanceof Task ? main : loop.createTask(main as () => PromiseLike<T>, { name: 'main' });
    return this.#run(loop, task as Task<T>);
  }

  /**
   * Cancels what is left, waits for it, closes the loop, which reports what is still open. Idempotent.
   *
   * @throws LoopError `ERR_LOOP_RUNNING` (as rejection) while `run()` is under way
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    const loop = this.#loop;
    if (loop?.isRunning()) {
      throw new LoopError('ERR_LOOP_RUNNING', 'a runner cannot be closed before its run() is over');
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

  /** {@link close}: `await using runner = new Runner()`. */
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

/**
 * A runner's tasks, asked to end by a signal. The first signal is heard, and its cleanup watched; from then
 * on signals have their default action again, so that a second one kills. What the program or a handler of
 * the loop listens for is theirs.
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

  /** @param onSignal called as code of the loop, once at most */
  listen(onSignal: (signal: EndingSignal) => void): void {
    const backend = this.#loop._backend;
    if (!backend.features.signals) return;
    for (const signal of ENDING_SIGNALS) {
      const signum = backend.signals[signal] as number;
      const heard = (): void => {
        if (this.#loop._hasSignalHandler(signum)) return;
        this.#unlisten();
        this.watch(signal);
        this.#loop.callSoonThreadsafe(onSignal, signal);
      };
      this.#requests.push(backend.interrupt(signum, heard));
    }
  }

  /** The signal has come: says once who is still there after a while. */
  watch(signal: EndingSignal): void {
    const loop = this.#loop;
    this.#timer = loop._scheduler.callAt(loop.time() + CLEANUP_SECONDS, () => this.#report(signal), []);
  }

  /** They have ended. */
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
 * Runs an async function from beginning to end: makes a loop, runs `main`, cancels and awaits the tasks that
 * are left, closes the loop.
 *
 * @param main an async function, run as a task
 * @param options `debug`; `loopFactory`: which loop, `() => new SimulatedEventLoop()` for virtual time
 * @returns what `main` returns
 * @throws what `main` throws; LoopError `ERR_LOOP_RUNNING` when called from the code of a loop
 *
 * **Cancellation** the first `SIGINT` or `SIGTERM` cancels `main`; its cleanup, and that of the tasks that
 * are left, is waited for. When it takes longer than a second, the exception handler is told once which task
 * blocks and what is left in the loop. A second signal kills the process, by the signal's default action. A
 * signal for which the program listens by `process.on()` when it comes, or for which the loop has a handler
 * (`loop.addSignalHandler`), is theirs, and cancels nothing. On a worker thread no signals come. A `main`
 * that never awaits holds the thread and hears of none.
 *
 * **Exit status** `run()` then rejects with a {@link CancelledError} whose `cause` is the signal's name. At
 * the top level of a module Node prints it and exits with 1. For the status that shells and supervisors
 * expect (130, 143), end by the signal itself, which has its default action by then:
 * `process.kill(process.pid, error.cause)`.
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
export function run<T>(main: () => Awaitable<T>, options: RunnerOptions = {}): Promise<T> {
  const runner = new Runner(options);
  try {
    return closeAfter(runner, runner.run(main));
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

/**
 * Functions that run in threads are waited for, as in asyncio: so long, and then they are cut off with the
 * loop.
 */
async function endExecutor(loop: BaseEventLoop): Promise<void> {
  if (!loop._hasDefaultExecutor) return;
  try {
    await loop.runUntilComplete(() => waitFor(loop.shutdownDefaultExecutor(), EXECUTOR_SHUTDOWN_SECONDS));
  } catch (exception) {
    loop.callExceptionHandler({ message: 'the default executor did not end', exception });
  }
}

/** @param signal that came already, so that the next one is the second */
async function cancelRemaining(loop: BaseEventLoop, signal: EndingSignal | null): Promise<void> {
  const { loose } = loop._owned;
  // A body that its limit has given up is done, and still there.
  const tasks = ([...loop._owned.tasks] as unknown as Task[]).filter((task) => !task.done());
  if (tasks.length === 0 && loose.size === 0) return;
  const scopes = [...loose] as Scope[];
  for (const task of tasks) task.cancel();
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
 * Code outside of every task was cancelled, and has time to clean up; not for ever, for nobody knows what it
 * waits for.
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
        `code outside of every task was cancelled at the end of run(), and still awaits something ${CLEANUP_SECONDS} second later: ` +
        'make it a task with createTask(), or let its CancelledError pass',
    });
  });
  await idle;
  timer.cancel();
}
