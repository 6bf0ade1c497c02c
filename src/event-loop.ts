/**
 * The public loop: one line a method, delegating down. Whatever wants more than that lives in a lower layer.
 */
import type { Backend } from './backend/backend.ts';
import { SLOW_CALLBACK_SECONDS } from './base/constants.ts';
import { LoopError } from './base/errors.ts';
import {
  checkBoolean,
  checkFunction,
  checkOptions,
  checkSeconds,
  checkString,
  invalidArgType,
  outOfRange,
} from './base/validate.ts';
import { runningLoopOrNull } from './loop/context.ts';
import type { ExceptionHandler } from './loop/exception-handler.ts';
import { handleException, printException } from './loop/exception-handler.ts';
import type { AnyCallback, Handle, TimerHandle } from './loop/handle.ts';
import { copyOrigin, rememberOrigin } from './loop/origins.ts';
import { Ownership } from './loop/ownership.ts';
import { Pump } from './loop/pump.ts';
import { Scheduler } from './loop/scheduler.ts';
import { SlowWatch } from './loop/slow-watch.ts';
import type { ContextEntry, ExceptionContext, Loop } from './loop/types.ts';
import type { ConnectionOptions } from './net/connect.ts';
import { connect } from './net/connect.ts';
import type { ServerOptions } from './net/listen.ts';
import { listen } from './net/listen.ts';
import type { StreamProtocol } from './net/protocol.ts';
import type { Server } from './net/server.ts';
import type { Transport } from './net/transport.ts';
import { ensureFuture, isAwaitable } from './tasks/ensure-future.ts';
import type { Awaitable } from './tasks/future.ts';
import { DoneCallback, Future } from './tasks/future.ts';
import type { TaskOptions } from './tasks/task.ts';
import { Task } from './tasks/task.ts';

/** Makes the tasks of a loop: see `setTaskFactory`. */
export type TaskFactory = <T>(loop: BaseEventLoop, fn: () => PromiseLike<T>, options: TaskOptions) => Task<T>;

const TASK_OPTIONS = ['name', 'eager'];

/**
 * An event loop that a program can hold, run, stop, close and swap. Abstract: `newEventLoop()` gives a real one.
 *
 * It runs on the host's own loop and never blocks it, so every library of the host keeps working; several may run in one
 * thread at once. While it runs the process stays alive, and not a moment longer.
 *
 * @example
 * ```ts
 * import { newEventLoop } from 'gyre';
 *
 * const loop = newEventLoop();
 * loop.callLater(0.01, () => {
 *   console.log('Hello World');
 *   loop.stop();
 * });
 * await loop.runForever();
 * loop.close();
 * ```
 */
export abstract class BaseEventLoop implements Loop {
  /** Seconds: in debug mode, what holds the loop for longer is reported. Default: 0.1. */
  slowCallbackDuration: number = SLOW_CALLBACK_SECONDS;
  /** @internal */ readonly _backend: Backend;
  /** @internal */ readonly _scheduler: Scheduler;
  /** @internal */ readonly _owned: Ownership = new Ownership();
  /** @internal */ readonly _context: ContextEntry = { _loop: this, _task: null };
  readonly #pump: Pump;
  readonly #slowWatch: SlowWatch;
  #closed: boolean = false;
  #debug: boolean = false;
  #exceptionHandler: ExceptionHandler | null = null;
  #taskFactory: TaskFactory | null = null;

  /** @internal */
  constructor(backend: Backend) {
    this._backend = backend;
    this.#pump = new Pump(backend);
    this._scheduler = new Scheduler(this, this.#pump);
    this.#slowWatch = new SlowWatch(
      this,
      () => backend.realTime(),
      () => this.slowCallbackDuration,
    );
    this.debug = process.env.GYRE_DEBUG === '1';
  }

  // --- running ---

  /**
   * Runs until `stop()`. Keeps the process alive meanwhile, even with nothing to wait for.
   *
   * @throws LoopError `ERR_LOOP_RUNNING`, `ERR_LOOP_CLOSED`
   */
  runForever(): Promise<void> {
    this._checkOpen();
    return this.#pump.run(this._scheduler);
  }

  /**
   * Runs until `aw` is done, and answers its result or rejects with its exception.
   *
   * @param aw a future of this loop, a promise, or a function, which is run as a task
   * @throws LoopError `ERR_LOOP_STOPPED` (as rejection) when the loop was stopped before; `ERR_LOOP_RUNNING`, `ERR_LOOP_CLOSED`
   */
  runUntilComplete<T>(aw: Awaitable<T> | (() => Awaitable<T>)): Promise<T> {
    this._checkOpen();
    if (this.isRunning()) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    const future = this.#futureOf(aw);
    let waiting = true;
    const stop = new DoneCallback(future, () => {
      // Another stop() may have come first; then this is called in a later run, which is not to be ended by it.
      if (waiting) this._scheduler.stop();
    });
    return this.runForever().then(() => {
      waiting = false;
      stop.remove();
      if (future.done()) return future.result();
      throw new LoopError('ERR_LOOP_STOPPED', 'the event loop was stopped before the future was done');
    });
  }

  /** Whether it runs: from the call of a `run` method until the end of its last turn. */
  isRunning(): boolean {
    return this.#pump.running;
  }

  /** Whether `close()` was called. */
  isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Stops the loop: every callback that is scheduled already still runs, also those that wait for the next turn. Those
   * scheduled later run when the loop is run again. Stopping a loop that does not run stops its next run.
   */
  stop(): void {
    this._checkOpen();
    this._scheduler.stop();
  }

  /**
   * Clears the queues and ends everything that the loop still owns, so that the process can exit. Each such leak is reported
   * through the exception handler, in debug mode with the stack of its creation. Idempotent and irreversible: from
   * then on, scheduling, running and creating throw `ERR_LOOP_CLOSED`.
   *
   * @throws LoopError `ERR_LOOP_RUNNING`
   */
  close(): void {
    if (this.#closed) return;
    if (this.isRunning()) {
      throw new LoopError(
        'ERR_LOOP_RUNNING',
        'a running event loop cannot be closed: stop() it and wait for its end',
      );
    }
    this.#closed = true;
    this.#slowWatch.stop(this._scheduler);
    const leaks = this._owned.abandonAll();
    this._scheduler.clear();
    this._backend.close();
    for (const leak of leaks) this.callExceptionHandler(leak);
  }

  /** Closes the loop: `using loop = newEventLoop()`. */
  [Symbol.dispose](): void {
    this.close();
  }

  // --- calls ---

  /** Monotonic seconds, with a resolution far below a millisecond. */
  time(): number {
    this._checkOpen();
    return this._backend.time();
  }

  /** Seconds: what the clock can tell apart. */
  get clockResolution(): number {
    return this._backend.clockResolution;
  }

  /**
   * Calls `callback(...args)` in the next turn. First in, first out; each exactly once.
   *
   * @throws TypeError when it is no function; LoopError `ERR_LOOP_CLOSED`; in debug mode `ERR_NO_RUNNING_LOOP` when the loop runs
   *   and this is called from outside of it (use `callSoonThreadsafe`)
   */
  callSoon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    if (typeof callback !== 'function') checkFunction('callback', callback);
    if (this.#closed) this._checkOpen();
    if (this.#debug) return this.#traced(this.#checkPlace('callSoon'), callback as AnyCallback, args);
    return this._scheduler.callSoon(callback as AnyCallback, args);
  }

  /**
   * As {@link callSoon}, from anywhere in this thread: for callbacks of the host that are not the loop's.
   */
  callSoonThreadsafe<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    checkFunction('callback', callback);
    this._checkOpen();
    if (this.#debug) return this.#traced(this.callSoonThreadsafe, callback as AnyCallback, args);
    return this._scheduler.callSoon(callback as AnyCallback, args);
  }

  /**
   * Calls `callback(...args)` after `delaySeconds`: never earlier, and in order of deadline, then of scheduling.
   *
   * @param delaySeconds negative means now; any length works; Infinity never comes
   * @throws RangeError for NaN
   */
  callLater<A extends unknown[]>(
    delaySeconds: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle {
    checkSeconds('delaySeconds', delaySeconds);
    if (typeof callback !== 'function') checkFunction('callback', callback);
    return this.#timer(this.time() + Math.max(delaySeconds, 0), callback as AnyCallback, args, 'callLater');
  }

  /** Calls `callback(...args)` at `when` on the clock of {@link time}, in seconds. See {@link callLater}. */
  callAt<A extends unknown[]>(when: number, callback: (...args: A) => unknown, ...args: A): TimerHandle {
    if (typeof when !== 'number' || Number.isNaN(when)) checkSeconds('when', when);
    if (typeof callback !== 'function') checkFunction('callback', callback);
    if (this.#closed) this._checkOpen();
    return this.#timer(when, callback as AnyCallback, args, 'callAt');
  }

  // --- futures and tasks ---

  /** A new {@link Future} of this loop. */
  createFuture<T = unknown>(): Future<T> {
    this._checkOpen();
    return new Future<T>(this);
  }

  /**
   * Runs `fn` as a {@link Task}, from the next turn on.
   *
   * @param fn an async function without arguments; or a promise, of which only the wait can be cancelled
   * @param options `name`: shown in reports; `eager`: the first step runs now
   * @throws TypeError for anything else; LoopError `ERR_LOOP_CLOSED`, and then nothing was started
   */
  createTask<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>, options: TaskOptions = {}): Task<T> {
    checkOptions('options', options, TASK_OPTIONS);
    if (options.name !== undefined) checkString('options.name', options.name);
    if (options.eager !== undefined) checkBoolean('options.eager', options.eager);
    this._checkOpen();
    const start = this.#coroutine(fn);
    if (this.#taskFactory !== null) return this.#taskFactory(this, start, options);
    const task = new Task<T>(this, start, options.name);
    if (options.eager === true) task._run(this._scheduler);
    else this.#firstStep(task);
    return task;
  }

  /**
   * Lets `factory(loop, fn, options)` make the tasks of `createTask`; null restores the default.
   */
  setTaskFactory(factory: TaskFactory | null): void {
    if (factory !== null) checkFunction('factory', factory);
    this._checkOpen();
    this.#taskFactory = factory;
  }

  /** What {@link setTaskFactory} set, or null. */
  getTaskFactory(): TaskFactory | null {
    this._checkOpen();
    return this.#taskFactory;
  }

  // --- connections and servers ---

  /**
   * Opens a TCP connection: looks `host` up, connects to its addresses side by side (RFC 8305), makes the protocol, tells it
   * `connectionMade`, and answers the pair.
   *
   * @param protocolFactory makes the protocol, once the connection is there
   * @param host name or literal address; null for this machine, or when `options.sock` is given
   * @param port null when `options.sock` is given
   * @returns the transport and the protocol
   * @throws TypeError, RangeError, LoopError at the call; the system's error (`ECONNREFUSED`, `ENOTFOUND`) as rejection, an
   *   `AggregateError` with each attempt's where they differ
   *
   * **Cancellation** at any moment closes every attempt; nothing stays open.
   *
   * **Backends** the simulated loop has no network: `ERR_UNSUPPORTED`.
   *
   * @example
   * ```ts
   * import { getRunningLoop, Protocol, run } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   await using server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
   *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
   *   const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
   *   transport.close();
   * });
   * ```
   */
  createConnection<P extends StreamProtocol>(
    protocolFactory: () => P,
    host: string | null = null,
    port: number | null = null,
    options: ConnectionOptions = {},
  ): Future<[Transport, P]> {
    this._checkOpen();
    return connect(this, protocolFactory, host, port, options);
  }

  /**
   * Opens a TCP server: each accepted connection gets a protocol of its own.
   *
   * @param host name, literal address or an array of them; `''` or null: all interfaces, a socket each for IPv4 and IPv6
   * @param port 0: a free one, the same for all sockets of the server; null when `options.sock` is given
   * @throws TypeError, RangeError, LoopError at the call; the system's error (`EADDRINUSE`) as rejection, and then no socket is open
   *
   * **Cancellation** leaves no socket open.
   *
   * **Backends** the simulated loop has no network: `ERR_UNSUPPORTED`.
   */
  createServer(
    protocolFactory: () => StreamProtocol,
    host: string | readonly string[] | null = null,
    port: number | null = null,
    options: ServerOptions = {},
  ): Future<Server> {
    this._checkOpen();
    return listen(this, protocolFactory, host, port, options);
  }

  // --- errors and debugging ---

  /**
   * Hands every exception that nobody else could catch to `handler(loop, context)`; null restores the default, which prints.
   */
  setExceptionHandler(handler: ((loop: this, context: ExceptionContext) => void) | null): void {
    if (handler !== null) checkFunction('handler', handler);
    this._checkOpen();
    this.#exceptionHandler = handler as ExceptionHandler | null;
  }

  /** The handler that {@link setExceptionHandler} set, or null. */
  getExceptionHandler(): ((loop: BaseEventLoop, context: ExceptionContext) => void) | null {
    this._checkOpen();
    return this.#exceptionHandler;
  }

  /** Prints `context` to standard error. To be called from a handler of one's own, or overridden. */
  defaultExceptionHandler(context: ExceptionContext): void {
    printException(context);
  }

  /** Reports `context` to the exception handler. Never throws. Works on a closed loop, too: leaks show up late. */
  callExceptionHandler(context: ExceptionContext): void {
    handleException(this, this.#exceptionHandler, (c) => this.defaultExceptionHandler(c), context);
  }

  /**
   * Debug mode, also by `GYRE_DEBUG=1`: slow callbacks are reported with where they were scheduled, calls from the wrong
   * place throw, and reports of leaks and of lost exceptions say where their object was created.
   */
  get debug(): boolean {
    return this.#debug;
  }

  set debug(on: boolean) {
    checkBoolean('debug', on);
    this.#debug = on;
    if (on && !this.#closed) this.#slowWatch.start(this._scheduler);
    else this.#slowWatch.stop(this._scheduler);
  }

  /** @internal */
  _checkOpen(): void {
    if (this.#closed) throw new LoopError('ERR_LOOP_CLOSED', 'this event loop is closed');
  }

  #checkPlace(method: 'callSoon' | 'callAt' | 'callLater'): (...args: never[]) => unknown {
    if (this.isRunning() && runningLoopOrNull() !== this) {
      throw new LoopError(
        'ERR_NO_RUNNING_LOOP',
        `${method}() was called from code that this running loop does not run: use callSoonThreadsafe()`,
      );
    }
    return this[method] as (...args: never[]) => unknown;
  }

  #traced(caller: (...args: never[]) => unknown, callback: AnyCallback, args: unknown[]): Handle {
    const handle = this._scheduler.callSoon(callback, args);
    rememberOrigin(handle, caller);
    return handle;
  }

  #timer(when: number, callback: AnyCallback, args: unknown[], method: 'callAt' | 'callLater'): TimerHandle {
    if (!this.#debug) return this._scheduler.callAt(when, callback, args);
    const caller = this.#checkPlace(method);
    const timer = this._scheduler.callAt(when, callback, args);
    rememberOrigin(timer, caller);
    return timer;
  }

  /** By a handle, because that captures the async context: a task runs in the one in which it was made. */
  #firstStep<T>(task: Task<T>): void {
    const handle = this._scheduler.callSoon(runFirstStep as AnyCallback, [task]);
    if (this.#debug) copyOrigin(task, handle);
  }

  #coroutine<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>): () => PromiseLike<T> {
    if (typeof fn === 'function' && !isAwaitable(fn)) return fn as () => PromiseLike<T>;
    if (fn instanceof Future && fn._loop !== this)
      throw outOfRange('fn', fn, 'of this loop, not of another one');
    if (isAwaitable(fn)) {
      // Followed from now on: its rejection before the task's turn must not count as unhandled.
      const future = ensureFuture(fn as PromiseLike<T>, { loop: this });
      return () => future;
    }
    throw invalidArgType('fn', fn, 'a function or a promise');
  }

  #futureOf<T>(aw: Awaitable<T> | (() => Awaitable<T>)): Future<T> {
    if (aw instanceof Future) {
      if (aw._loop !== this) throw outOfRange('aw', aw, 'a future of this loop, not of another one');
      return aw;
    }
    if (isAwaitable(aw)) return ensureFuture(aw as PromiseLike<T>, { loop: this });
    if (typeof aw !== 'function') throw invalidArgType('aw', aw, 'a future, a promise or a function');
    return this.createTask(aw);
  }
}

function runFirstStep(task: Task): void {
  task._run(task._loop._scheduler);
}
