/** What runs functions outside of the loop's thread: the interface, and how a loop uses one. */
import { checkFunction, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import { checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import { ensureFuture } from '../tasks/ensure-future.ts';
import type { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import { operation } from '../tasks/operation.ts';
import { DefaultExecutor } from './default-executor.ts';
import { nameOf } from './function-source.ts';

export interface SubmitOptions {
  /** Aborted: the job is taken out of the queue, or told to stop. */
  signal?: AbortSignal;
  /** What is handed over to the worker instead of being copied. */
  transfer?: readonly unknown[];
}

export interface ShutdownOptions {
  /** Waits for the jobs that run. Default: true. */
  wait?: boolean;
  /** Drops the jobs that have not begun. Default: false. */
  cancelPending?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: any function
export type AnyFunction = (...args: any[]) => unknown;

/** Runs functions elsewhere. A pool of another library fits by an adapter of some lines. */
export interface Executor {
  /** Runs `fn(...args)`, and answers what it returns or what it awaits. */
  submit<F extends AnyFunction>(
    fn: F,
    args: Parameters<F>,
    options?: SubmitOptions,
  ): Promise<Awaited<ReturnType<F>>>;
  /** Takes no more jobs, and ends the workers. */
  shutdown(options?: ShutdownOptions): Promise<void>;
}

/** See `BaseEventLoop.runInExecutor`. */
export function runInExecutor<F extends AnyFunction>(
  loop: Loop,
  executor: Executor | null,
  fn: F,
  args: Parameters<F>,
): Future<Awaited<ReturnType<F>>> {
  checkFunction('fn', fn);
  if (executor !== null) checkExecutor('executor', executor);
  checkSupports(loop, 'executors');
  const chosen = executor ?? DefaultExecutor.of(loop).get();
  return HostOperation.begin(loop, `the call of ${nameOf(fn)} in an executor`, ignore, (operation) => {
    const controller = new AbortController();
    const { signal } = controller;
    const answer: Promise<Awaited<ReturnType<F>>> = Promise.resolve(chosen.submit(fn, args, { signal }));
    answer.then(
      (value) => operation.succeed(value),
      (error) => operation.fail(error),
    );
    // The executor may take its time.
    return (error) => controller.abort(error);
  });
}

/** A result that comes after a cancel holds nothing of the host. */
function ignore(): void {}

/** See `BaseEventLoop.setDefaultExecutor`. */
export function setDefaultExecutor(loop: Loop, executor: Executor): void {
  checkExecutor('executor', executor);
  checkSupports(loop, 'executors');
  DefaultExecutor.of(loop).set(executor);
}

/** Whether the loop has a default executor that should be shut down. */
export function hasDefaultExecutor(loop: Loop): boolean {
  return DefaultExecutor.has(loop);
}

/** See `BaseEventLoop.shutdownDefaultExecutor`. */
export function shutdownDefaultExecutor(loop: Loop): Future<void> {
  return operation(loop, 'shutdownDefaultExecutor', async () => {
    await ensureFuture(DefaultExecutor.of(loop).shutdown(), { loop });
  });
}

/**
 * Runs a function in a thread of the running loop's default executor: `loop.runInExecutor(null, fn,
 * ...args)`.
 *
 * @param fn a function of `importFunctions()`, or one that uses nothing from outside: it crosses as source
 * @param args its arguments; they are copied
 * @returns a future of what it returns or what it awaits
 * @throws TypeError, LoopError `ERR_NO_RUNNING_LOOP` outside of a loop, and what `loop.runInExecutor()`
 *   throws
 *
 * **Cancellation** as of `loop.runInExecutor()`.
 *
 * @example
 * ```ts
 * import { run, toThread } from 'gyre';
 *
 * await run(async () => {
 *   const sum = await toThread((n: number) => {
 *     let total = 0;
 *     for (let i = 1; i <= n; i++) total += i;
 *     return total;
 *   }, 1_000_000);
 *   console.log(sum); // 500000500000
 * });
 * ```
 */
export function toThread<F extends AnyFunction>(
  fn: F,
  ...args: Parameters<F>
): Future<Awaited<ReturnType<F>>> {
  return runInExecutor(runningLoop(), null, fn, args);
}

function checkExecutor(name: string, value: unknown): void {
  const executor = value as Partial<Executor> | null | undefined;
  if (typeof executor?.submit === 'function' && typeof executor.shutdown === 'function') return;
  throw invalidArgType(name, value, 'an executor: an object with submit() and shutdown()');
}
