/** The front door: a loop for one main function, with everything put away at the end. */
import { CancelledError, LoopError } from './base/errors.ts';
import { checkBoolean, checkFunction, checkOptions, invalidArgType, outOfRange } from './base/validate.ts';
import { BaseEventLoop } from './event-loop.ts';
import { runningLoopOrNull } from './loop/context.ts';
import { newEventLoop } from './policy.ts';
import { isAwaitable } from './tasks/ensure-future.ts';
import type { Awaitable } from './tasks/future.ts';
import { Future } from './tasks/future.ts';
import { Task } from './tasks/task.ts';

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
   * The first `SIGINT` cancels it, and `run` rejects with the `CancelledError` once its cleanup is done; a second one
   * kills the process. (Where the program listens for `SIGINT` itself, that stays its own affair.)
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
   * Cancels what is left, waits for it, closes the loop. Idempotent.
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
    try {
      await cancelRemaining(loop);
    } finally {
      loop.close();
    }
  }

  /** {@link close}: `await using runner = new Runner()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run<T>(loop: BaseEventLoop, task: Task<T>): Promise<T> {
    const interrupt = loop._backend.onInterrupt(() => {
      interrupt.cancel();
      task._cancel(new CancelledError('interrupted by SIGINT', { cause: 'SIGINT' }));
    });
    try {
      return await loop.runUntilComplete(task);
    } finally {
      interrupt.cancel();
    }
  }
}

/**
 * Runs an async function from beginning to end: makes a loop, runs `main`, cancels and awaits the tasks that are left, closes
 * the loop.
 *
 * @param main an async function, run as a task
 * @param options `debug`; `loopFactory`: which loop, `() => new SimulatedEventLoop()` for virtual time
 * @returns what `main` returns
 * @throws what `main` throws; LoopError `ERR_LOOP_RUNNING` when called from the code of a loop
 *
 * **Cancellation** the first `SIGINT` cancels `main`; a second one kills the process.
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

async function cancelRemaining(loop: BaseEventLoop): Promise<void> {
  const tasks = [...loop._owned.tasks] as unknown as Task[];
  if (tasks.length === 0) return;
  for (const task of tasks) task.cancel();
  await loop.runUntilComplete(async () => {
    for (const task of tasks) await task.catch(() => {});
  });
  for (const task of tasks) {
    if (task.cancelled() || task.exception() === null) continue;
    loop.callExceptionHandler({
      message: `exception in task ${task.name} while the loop was shut down`,
      exception: task.exception(),
      task,
    });
  }
}
