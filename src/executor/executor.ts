/** The interface of executors, which run functions outside of the loop's thread, and their use by a loop. */
import { checkFunction, invalidArgType } from '../base/validate.ts';
import { runningLoop } from '../loop/context.ts';
import { capability, checkSupports } from '../loop/supports.ts';
import type { Loop } from '../loop/types.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { callSite } from '../tasks/call-site.ts';
import { ensureFuture } from '../tasks/ensure-future.ts';
import type { Future } from '../tasks/future.ts';
import { HostOperation } from '../tasks/host-operation.ts';
import { operation } from '../tasks/operation.ts';
import { aborted } from '../tasks/settled.ts';
import { DefaultExecutor } from './default-executor.ts';
import { nameOf } from './function-source.ts';

export interface SubmitOptions {
  /** When it aborts, the job is removed from the queue, or told to stop. */
  signal?: AbortSignal;
  /** Objects that are transferred to the worker, not copied. */
  transfer?: readonly unknown[];
}

export interface ShutdownOptions {
  /** Waits for the running jobs. Default: true. */
  wait?: boolean;
  /** Drops the jobs that have not started. Default: false. */
  cancelPending?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: any function
export type AnyFunction = (...args: any[]) => unknown;

/** Runs functions in other threads or processes. A pool of another library needs only a short adapter. */
export interface Executor {
  /** Runs `fn(...args)` and returns its result. If the function returns a promise, it is awaited. */
  submit<F extends AnyFunction>(
    fn: F,
    args: Parameters<F>,
    options?: SubmitOptions,
  ): Promise<Awaited<ReturnType<F>>>;
  /** Accepts no more jobs, and ends the workers. */
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
  const { hold } = capability(loop, 'executors');
  const chosen = executor ?? DefaultExecutor.of(loop).get();
  const start = (operation: HostOperation<Awaited<ReturnType<F>>>): ((error: unknown) => void) => {
    const controller = new AbortController();
    const { signal } = controller;
    const answer: Promise<Awaited<ReturnType<F>>> = Promise.resolve(chosen.submit(fn, args, { signal }));
    // An executor of the caller works in real time.
    const release = executor === null ? undefined : hold?.();
    answer.then(
      (value) => operation.succeed(value),
      (error) => operation.fail(error),
    );
    if (release !== undefined) answer.then(release, release);
    // The executor may need some time to cancel.
    return (error) => controller.abort(error);
  };
  // The stack costs as much as the rest of a short call.
  const site = loop.debug ? callSite(runInExecutor) : null;
  return HostOperation.begin(loop, `the call of ${nameOf(fn)} in an executor`, ignore, start, site);
}

/** A result that arrives after a cancel holds no resource of the host. */
function ignore(): void {}

/** See `BaseEventLoop.setDefaultExecutor`. */
export function setDefaultExecutor(loop: Loop, executor: Executor): void {
  checkExecutor('executor', executor);
  checkSupports(loop, 'executors');
  DefaultExecutor.of(loop).set(executor);
}

/** Returns true if the loop has a default executor that must be shut down. */
export function hasDefaultExecutor(loop: Loop): boolean {
  return DefaultExecutor.has(loop);
}

/** See `BaseEventLoop.shutdownDefaultExecutor`. */
export function shutdownDefaultExecutor(loop: Loop, signal: AbortSignal | undefined): Future<void> {
  if (signal?.aborted) return aborted(loop, signal);
  const shutdown = operation(loop, 'shutdownDefaultExecutor', async () => {
    await ensureFuture(DefaultExecutor.of(loop).shutdown(), { loop });
  });
  return cancelOnAbort(shutdown, signal);
}

/**
 * Runs a function in a thread of the running loop's default executor, as `loop.runInExecutor(null, fn,
 * ...args)` does.
 *
 * @param fn a function of `importFunctions()`, or a function that uses no variables from outside and is
 *   passed as source
 * @param args its arguments, which are copied
 * @returns a future of the function's result
 * @throws TypeError, LoopError `ERR_NO_RUNNING_LOOP` outside of a loop, and the errors of
 *   `loop.runInExecutor()`
 *
 * **Cancellation** As in `loop.runInExecutor()`.
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
