/**
 * The public loop. Its methods check that the loop is open and call a function of a lower layer, which does
 * the work.
 */

import type { Backend } from './backend/backend.ts';
import type { AddressInfo, SocketAddress } from './base/address.ts';
import { LoopError } from './base/errors.ts';
import { counted, showInOneLine } from './base/one-line.ts';
import {
  checkBoolean,
  checkFunction,
  checkOptions,
  checkSeconds,
  checkSignal,
  checkString,
  invalidArgType,
  outOfRange,
} from './base/validate.ts';
import type { AnyFunction, Executor } from './executor/executor.ts';
import {
  hasDefaultExecutor,
  runInExecutor,
  setDefaultExecutor,
  shutdownDefaultExecutor,
} from './executor/executor.ts';
import type { RemoteHandlers, RemotePort, WithHandlers } from './executor/remote.ts';
import { remote } from './executor/remote.ts';
import { installFaultTraces } from './inspect/fault-traces.ts';
import { addLoop, removeLoop } from './inspect/loops.ts';
import type { LoopMetrics } from './inspect/metrics.ts';
import { loopMetrics } from './inspect/metrics.ts';
import { inspectedCopy } from './inspect/snapshot.ts';
import { runningLoopOrNull } from './loop/context.ts';
import { checkContext, inContext } from './loop/context-option.ts';
import { copyOrigin, rememberOrigin } from './loop/creation.ts';
import type { ExceptionHandler } from './loop/exception-handler.ts';
import { handleException, printException } from './loop/exception-handler.ts';
import type { AnyCallback, Handle, TimerHandle } from './loop/handle.ts';
import { Ownership } from './loop/ownership.ts';
import { Pump } from './loop/pump.ts';
import { threadRecorder } from './loop/recorder.ts';
import { Scheduler } from './loop/scheduler.ts';
import { SlowWatch } from './loop/slow-watch.ts';
import type { ContextEntry, ExceptionContext, Loop } from './loop/types.ts';
import type { DatagramOptions } from './net/datagram/datagram.ts';
import { createDatagramEndpoint } from './net/datagram/datagram.ts';
import type { GetaddrinfoOptions } from './net/names/names.ts';
import { getaddrinfo, getnameinfo } from './net/names/names.ts';
import type { SendfileOptions, SendfileSource } from './net/open-file.ts';
import type {
  DatagramProtocol,
  ProtocolFactory,
  StreamProtocol,
  SubprocessProtocol,
} from './net/protocol.ts';
import {
  sockAccept,
  sockConnect,
  sockRecv,
  sockRecvfrom,
  sockRecvfromInto,
  sockRecvInto,
  sockSendall,
  sockSendto,
} from './net/socket/sock-calls.ts';
import { sockSendfile } from './net/socket/sock-sendfile.ts';
import type { Socket } from './net/socket/socket.ts';
import type { PeerAddress } from './net/socket/socket-address.ts';
import type { Descriptor } from './net/socket/watchers.ts';
import { addWatcher, removeWatcher } from './net/socket/watchers.ts';
import type { AcceptedSocketOptions } from './net/stream/accepted.ts';
import { connectAcceptedSocket } from './net/stream/accepted.ts';
import type { ConnectionOptions } from './net/stream/connect.ts';
import { connect } from './net/stream/connect.ts';
import type { ServerOptions } from './net/stream/listen.ts';
import { listen } from './net/stream/listen.ts';
import { makeServer } from './net/stream/open-server.ts';
import { connectReadPipe, connectWritePipe } from './net/stream/pipes.ts';
import { sendfile } from './net/stream/sendfile.ts';
import type { Server } from './net/stream/server.ts';
import type { UnixConnectionOptions, UnixServerOptions } from './net/stream/unix.ts';
import { createUnixConnection, createUnixServer } from './net/stream/unix.ts';
import type { StartTlsOptions } from './net/tls/start-tls.ts';
import { startTls } from './net/tls/start-tls.ts';
import type {
  DatagramTransport,
  ReadTransport,
  SubprocessTransport,
  Transport,
  WriteTransport,
} from './net/transport.ts';
import { iterateSignals } from './process/signal-iteration.ts';
import { addSignalHandler, hasSignalHandler, removeSignalHandler } from './process/signals.ts';
import type { SubprocessOptions } from './process/spawn.ts';
import { subprocessExec, subprocessShell } from './process/spawn.ts';
import type { SignalOptions } from './tasks/abort-signal.ts';
import { cancelOnAbort } from './tasks/abort-signal.ts';
import { DoneCallback } from './tasks/done-callback.ts';
import { ensureFuture, isAwaitable } from './tasks/ensure-future.ts';
import type { Awaitable } from './tasks/future.ts';
import { Future } from './tasks/future.ts';
import { Scope } from './tasks/scope.ts';
import { signalOf } from './tasks/settled.ts';
import type { TaskNamer, TaskOptions } from './tasks/task.ts';
import { Task } from './tasks/task.ts';

/**
 * The type of every loop, for annotations: `async function serve(loop: AbstractEventLoop)`. The class to ask
 * with `instanceof`, and from which loops derive, is {@link BaseEventLoop}.
 */
export type AbstractEventLoop = BaseEventLoop;

/** Makes the tasks of a loop. See `setTaskFactory`. */
export type TaskFactory = <T>(loop: BaseEventLoop, fn: () => PromiseLike<T>, options: TaskOptions) => Task<T>;

const TASK_OPTIONS = ['name', 'eager', 'signal', 'context'];

/**
 * An event loop that a program can hold, run, stop, close and swap. The class is abstract; `newEventLoop()`
 * returns a concrete loop.
 *
 * It runs on top of the host's own event loop and never blocks it, so every library of the host keeps
 * working. Several loops may run in one thread at the same time. A running loop keeps the process alive; a
 * stopped loop does not.
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
  /** @internal */ readonly _backend: Backend;
  /** @internal */ readonly _scheduler: Scheduler;
  /** @internal */ readonly _owned: Ownership = new Ownership(this);
  /** @internal */ readonly _context: ContextEntry = new Scope(this, null, null);
  /**
   * True for the loop on which a simulated host runs the main function of a program. It stands for the loop
   * of Node itself, so the program may call `run()` there. @internal
   */
  _isProgramLoop: boolean = false;
  readonly #pump: Pump;
  readonly #slowWatch: SlowWatch;
  #closed: boolean = false;
  #debug: boolean = false;
  #exceptionHandler: ExceptionHandler | null = null;
  #taskFactory: TaskFactory | null = null;

  /** @internal */
  _facts(): string {
    if (this.#closed) return 'closed';
    const { tasks, resources } = this._owned;
    const counts = [
      counted(tasks.size, 'task'),
      counted(this._scheduler.timers.size, 'timer'),
      counted(resources.size, 'handle'),
    ];
    return `${this.isRunning() ? 'running' : 'not running'}, ${counts.join(', ')}`;
  }

  /** @internal */
  _more(): Record<string, unknown> {
    return { tasks: [...this._owned.tasks], handles: [...this._owned.resources] };
  }

  /** @internal */
  constructor(backend: Backend) {
    this._backend = backend;
    this.#pump = new Pump(backend);
    this._scheduler = new Scheduler(this, this.#pump);
    this.#slowWatch = new SlowWatch(
      this,
      () => backend.realTime(),
      () => this._scheduler.meter.limit,
    );
    // In a simulation, time passes while code runs only if the program of the simulation says so.
    if (backend.name !== 'sim') this.#warnWhenHeld();
    this.debug = process.env.GYRE_DEBUG === '1';
    this._scheduler.number = addLoop(this, inspectedCopy);
    if (backend.name === 'sim') return;
    if (process.env.GYRE_RECORDER !== '0') this.recording = true;
    installFaultTraces();
  }

  // --- running ---

  /**
   * Runs the loop until `stop()` is called. Meanwhile it keeps the process alive, even when nothing is
   * scheduled.
   *
   * @throws LoopError `ERR_LOOP_RUNNING`, `ERR_LOOP_CLOSED`
   */
  runForever(): Promise<void> {
    this._checkOpen();
    return this.#pump.start(this._scheduler);
  }

  /**
   * Runs the loop until `aw` is done, and returns its result or rejects with its exception.
   *
   * @param aw a future of this loop, a promise, or a function, which the loop runs as a task
   * @throws At the call: LoopError `ERR_LOOP_RUNNING`, `ERR_LOOP_CLOSED`. As a rejection: LoopError
   *   `ERR_LOOP_STOPPED` if the loop was stopped before `aw` was done
   */
  runUntilComplete<T>(aw: Awaitable<T> | (() => Awaitable<T>)): Promise<T> {
    this._checkOpen();
    if (this.isRunning()) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    const future = this.#futureOf(aw);
    let waiting = true;
    const stop = new DoneCallback(future, () => {
      // An earlier stop() may have ended the first run. Then this callback belongs to a later run, and must
      // not stop that run.
      if (waiting) this._scheduler.stop();
    });
    return this.runForever().then(() => {
      waiting = false;
      stop.remove();
      if (future.done()) return future.result();
      throw new LoopError('ERR_LOOP_STOPPED', 'the event loop was stopped before the future was done');
    });
  }

  /** Returns true from the call of a `run` method until the end of its last turn. */
  isRunning(): boolean {
    return this.#pump.running;
  }

  /** Returns true after `close()` was called. */
  isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Stops the loop. Callbacks that are already scheduled still run, also those in the next turn. Callbacks
   * that are scheduled later run when the loop runs again. If the loop is not running, `stop()` stops its
   * next run.
   */
  stop(): void {
    this._checkOpen();
    this._scheduler.stop();
  }

  /**
   * Closes the loop for good: clears its queues and ends everything that it still owns, so that the process
   * can exit. A second call does nothing. After `close()`, every call that schedules, runs or creates
   * something throws `ERR_LOOP_CLOSED`.
   *
   * The exception handler receives one report for each leak: a pending task, an open handle, a child process
   * that was not reaped, an exception that was never retrieved, and in debug mode a held lock. A report has
   * the leaked object as `task` or `resource`. If they are known, it also has `owner` (the name of the task
   * that created the object) and `ageSeconds`, and in debug mode `sourceTraceback` (the stack at its
   * creation). A connection that a server accepted is reported with the server's name, owner and stack.
   * Signal handlers and the default executor are ended without a report.
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
    removeLoop(this);
    this.#slowWatch.stop(this._scheduler);
    const leaks = this._owned.abandonAll();
    this._scheduler.clear();
    this._backend.close();
    for (const leak of leaks) this.callExceptionHandler(leak);
  }

  /**
   * Ends the loop at once, as the death of a process does, also while it runs: none of its code runs again,
   * and its `runForever()` never returns. Nothing is reported. @internal
   */
  _kill(): void {
    if (this.#closed) return;
    this.#closed = true;
    removeLoop(this);
    this._owned.killed = true;
    this.#pump.abandon();
    this.#slowWatch.stop(this._scheduler);
    this._owned.abandonAll();
    this._scheduler.clear();
    this._backend.close();
  }

  /** Closes the loop, as in `using loop = newEventLoop()`. */
  [Symbol.dispose](): void {
    this.close();
  }

  // --- calls ---

  /** Returns the monotonic time in seconds. Its resolution is much finer than a millisecond. */
  time(): number {
    this._checkOpen();
    return this._backend.time();
  }

  /** The smallest difference that the clock of {@link time} can show, in seconds. */
  get clockResolution(): number {
    return this._backend.clockResolution;
  }

  /**
   * Schedules `callback(...args)` for the next turn. Callbacks run in the order in which they were scheduled,
   * each exactly once.
   *
   * @throws TypeError if `callback` is not a function. LoopError `ERR_LOOP_CLOSED`; in debug mode also
   *   `ERR_NO_RUNNING_LOOP`, if the loop runs and the caller is code that the loop does not run (use
   *   `callSoonThreadsafe()` there)
   */
  callSoon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    if (typeof callback !== 'function') checkFunction('callback', callback);
    if (this.#closed) this._checkOpen();
    if (this.#debug) return this.#traced(this.#checkPlace('callSoon'), callback as AnyCallback, args);
    return this._scheduler.callSoon(callback as AnyCallback, args);
  }

  /**
   * Schedules a callback as {@link callSoon} does, and may be called from anywhere in this thread, for
   * example from a callback of the host.
   */
  callSoonThreadsafe<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    checkFunction('callback', callback);
    this._checkOpen();
    if (this.#debug) return this.#traced(this.callSoonThreadsafe, callback as AnyCallback, args);
    return this._scheduler.callSoon(callback as AnyCallback, args);
  }

  /**
   * Schedules `callback(...args)` to run after `delaySeconds`, never earlier. Timers run in order of their
   * deadlines; timers with equal deadlines run in the order in which they were scheduled.
   *
   * @param delaySeconds a negative number means now. Any length is accepted; Infinity never comes
   * @throws RangeError if `delaySeconds` is NaN
   */
  callLater<A extends unknown[]>(
    delaySeconds: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle {
    checkSeconds('delaySeconds', delaySeconds);
    if (typeof callback !== 'function') checkFunction('callback', callback);
    return this.#timer(this.time() + delaySeconds, callback as AnyCallback, args, 'callLater');
  }

  /**
   * Schedules `callback(...args)` for the time `when` of the clock {@link time}, in seconds. See
   * {@link callLater}.
   */
  callAt<A extends unknown[]>(when: number, callback: (...args: A) => unknown, ...args: A): TimerHandle {
    if (typeof when !== 'number' || Number.isNaN(when)) checkSeconds('when', when);
    if (typeof callback !== 'function') checkFunction('callback', callback);
    if (this.#closed) this._checkOpen();
    return this.#timer(when, callback as AnyCallback, args, 'callAt');
  }

  // --- futures and tasks ---

  /** Returns a new {@link Future} of this loop. */
  createFuture<T = unknown>(): Future<T> {
    this._checkOpen();
    return new Future<T>(this);
  }

  /**
   * Runs `fn` as a {@link Task}. The first step runs in the next turn.
   *
   * @param fn an async function without arguments, or a promise. A cancel of a task over a promise ends only
   *   the wait: the work behind the promise continues
   * @param options `name`: shown in reports. `eager: true`: the first step runs now. `signal`: an abort
   *   cancels the task; if it is aborted already, the task never starts. `context`: the async context in
   *   which the task runs, from `AsyncLocalStorage.snapshot()`
   * @throws TypeError for any other `fn`. LoopError `ERR_LOOP_CLOSED`. If it throws, nothing was started
   */
  createTask<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>, options: TaskOptions = {}): Task<T> {
    checkOptions('options', options, TASK_OPTIONS);
    if (options.name !== undefined) checkString('options.name', options.name);
    if (options.eager !== undefined) checkBoolean('options.eager', options.eager);
    checkSignal('options.signal', options.signal);
    checkContext('options.context', options.context);
    this._checkOpen();
    const start = this.#coroutine(fn);
    if (this.#taskFactory !== null) {
      const { signal, ...rest } = options;
      return cancelOnAbort(this.#taskFactory(this, start, rest), signal);
    }
    return this._newTask(start, options);
  }

  /** Makes a task as if there were no task factory. @internal */
  _newTask<T>(start: () => PromiseLike<T>, { name, eager, signal, context }: TaskOptions): Task<T> {
    const task = new Task<T>(this, start, name);
    if (signal !== undefined) cancelOnAbort(task, signal);
    inContext(context, () => (eager === true ? task._run() : this.#firstStep(task)));
    return task;
  }

  /** @internal */
  _createNamedTask<T>(fn: () => PromiseLike<T>, namer: TaskNamer): Task<T> {
    if (this.#taskFactory !== null) return this.createTask(fn, { name: namer._taskName() });
    this._checkOpen();
    const task = new Task<T>(this, fn, namer);
    this.#firstStep(task);
    return task;
  }

  /** Makes `createTask()` call `factory(loop, fn, options)` for each task. null restores the default. */
  setTaskFactory(factory: TaskFactory | null): void {
    if (factory !== null) checkFunction('factory', factory);
    this._checkOpen();
    this.#taskFactory = factory;
  }

  /** Returns the factory that {@link setTaskFactory} set, or null. */
  getTaskFactory(): TaskFactory | null {
    this._checkOpen();
    return this.#taskFactory;
  }

  // --- connections and servers ---

  /**
   * Opens a TCP connection, and returns its transport and protocol. It looks `host` up, tries the addresses
   * with staggered starts ("happy eyeballs", RFC 8305), makes the protocol and calls its `connectionMade`.
   *
   * With `options.ssl` the connection is encrypted. The protocol is made after the TLS handshake. The
   * server's certificate must be valid for `options.serverHostname`; the default is `host`. If the peer
   * closes the connection without closing TLS, the protocol gets `ERR_TLS_TRUNCATED`. An encrypted transport
   * has no `writeEof()`.
   *
   * @param protocolFactory makes the protocol (or a class of protocols), when the connection is established
   * @param host a name or a literal address; null for this machine, and with `options.sock`
   * @param port a number, a string of digits, or the name of a service (`'https'`); null with `options.sock`
   * @returns the transport and the protocol
   * @throws At the call: TypeError, RangeError, LoopError, and the error of an unusable key or certificate.
   *   As a rejection: the system's error (`ECONNREFUSED`, `ENOTFOUND`), or an `AggregateError` if the
   *   attempts failed with different errors; the TLS error of OpenSSL or Node (`CERT_HAS_EXPIRED`,
   *   `ERR_TLS_CERT_ALTNAME_INVALID`); TimeoutError if the handshake takes longer than
   *   `options.sslHandshakeTimeout` seconds
   *
   * **Cancellation** closes every connection attempt, at any moment. No socket stays open.
   *
   * **Backends** On the simulated loop, the network is that of its world, and `sock` is a descriptor of its
   * host or a {@link Socket}.
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
    protocolFactory: ProtocolFactory<P>,
    host: string | null = null,
    port: number | string | null = null,
    options: ConnectionOptions = {},
  ): Future<[Transport, P]> {
    this._checkOpen();
    return connect(this, protocolFactory, host, port, options);
  }

  /**
   * Opens a TCP server. Each accepted connection gets a protocol of its own.
   *
   * With `options.ssl` the connections are encrypted, and a protocol is made after the TLS handshake of its
   * connection. A failed handshake closes the connection, and is reported in debug mode only.
   * `closeClients()`, `abortClients()` and `waitClosed()` also count connections whose handshake is in
   * progress.
   *
   * @param host a name, a literal address or an array of them. `''` or null: all interfaces, with one socket
   *   for IPv4 and one for IPv6
   * @param port a number, a string of digits, or the name of a service. 0: a free port, the same for all
   *   sockets of the server. null with `options.sock`
   * @throws At the call: TypeError, RangeError, LoopError, and the error of an unusable key or certificate.
   *   As a rejection: the system's error (`EADDRINUSE`); then no socket is open
   *
   * **Cancellation** leaves no socket open.
   *
   * **Backends** On the simulated loop, the network is that of its world, and `sock` is a descriptor of its
   * host or a {@link Socket}.
   *
   * @example
   * ```ts
   * import { readFile } from 'node:fs/promises';
   * import { getRunningLoop, Protocol } from 'gyre';
   * import type { Server } from 'gyre';
   *
   * async function serve(port: number): Promise<Server> {
   *   const ssl = { key: await readFile('key.pem'), cert: await readFile('cert.pem') };
   *   return getRunningLoop().createServer(() => new Protocol(), null, port, { ssl });
   * }
   * console.log(typeof serve); // function
   * ```
   */
  createServer(
    protocolFactory: ProtocolFactory<StreamProtocol>,
    host: string | readonly string[] | null = null,
    port: number | string | null = null,
    options: ServerOptions = {},
  ): Future<Server> {
    this._checkOpen();
    return listen(this, protocolFactory, host, port, options, makeServer);
  }

  /**
   * Connects to the unix socket at `path`, and returns the transport and the protocol. It makes the protocol
   * and calls its `connectionMade`.
   *
   * `getExtraInfo('peername')` returns the path, and `'sockname'` returns `''`. With `ssl`, `serverHostname`
   * is required, because there is no host name to compare with the certificate.
   *
   * @param protocolFactory makes the protocol (or a class of protocols), when the connection is established
   * @param path at most 107 bytes (103 on systems other than Linux). A path that begins with NUL is a name in
   *   Linux's abstract namespace. null with `options.sock`; then the host knows no names, so `'peername'` and
   *   `'sockname'` are absent
   * @returns the transport and the protocol
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: the system's error (`ENOENT`,
   *   `ECONNREFUSED`, `EACCES`)
   *
   * **Cancellation** closes the connection attempt, at any moment. No socket stays open.
   *
   * **Backends** Not on Windows: `ERR_UNSUPPORTED`. Before Node 22, abstract names are `ERR_UNSUPPORTED` on
   * the portable loop. On the simulated loop, paths are those of its host. Unix sockets have no reset (RST):
   * after `abort()` the peer sees the end of the stream, or an error if data of the peer was not read.
   *
   * @example
   * ```ts
   * import { mkdtemp, rm } from 'node:fs/promises';
   * import { tmpdir } from 'node:os';
   * import { join } from 'node:path';
   * import { getRunningLoop, Protocol, run } from 'gyre';
   *
   * const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   const path = join(directory, 'socket');
   *   const server = await loop.createUnixServer(() => new Protocol(), path);
   *   const [transport] = await loop.createUnixConnection(() => new Protocol(), path);
   *   console.log(transport.getExtraInfo('peername') === path); // true
   *   await transport[Symbol.asyncDispose]();
   *   server.close();
   *   await server.waitClosed();
   * });
   * await rm(directory, { recursive: true });
   * ```
   */
  createUnixConnection<P extends StreamProtocol>(
    protocolFactory: ProtocolFactory<P>,
    path: string | null = null,
    options: UnixConnectionOptions = {},
  ): Future<[Transport, P]> {
    this._checkOpen();
    return createUnixConnection(this, protocolFactory, path, options);
  }

  /**
   * Opens a server on the unix socket at `path`. Each accepted connection gets a protocol of its own.
   *
   * A stale socket file, left behind by a server that no longer runs, is replaced. To find out,
   * `createUnixServer()` connects to it, so a live server sees one short connection. The server removes its
   * file when it closes, from the path at which it was created, and only if the file is still the same. If
   * another process has replaced the file, Node moves the new file away from its name for some microseconds.
   * A server from `options.sock` does not remove the file. A process that is killed leaves the file behind.
   *
   * @param protocolFactory makes a protocol for each connection (or a class of protocols)
   * @param path as in {@link createUnixConnection}; null with `options.sock`
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: `EACCES`, other errors of the
   *   system, and `EADDRINUSE` if a live server or a file that is not a socket is at `path`; that file is not
   *   touched
   *
   * **Cancellation** leaves no socket and no file behind.
   *
   * **Backends** As {@link createUnixConnection}. Node does not know the names of the peers: `'peername'` is
   * `''`, even if the peer has bound its socket to a path.
   *
   * @example
   * ```ts
   * import { mkdtemp, readdir, rm } from 'node:fs/promises';
   * import { tmpdir } from 'node:os';
   * import { join } from 'node:path';
   * import { getRunningLoop, Protocol, run } from 'gyre';
   *
   * const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
   * await run(async () => {
   *   const server = await getRunningLoop().createUnixServer(() => new Protocol(), join(directory, 'socket'));
   *   console.log(await readdir(directory)); // [ 'socket' ]
   *   server.close();
   *   await server.waitClosed();
   *   console.log(await readdir(directory)); // []
   * });
   * await rm(directory, { recursive: true });
   * ```
   */
  createUnixServer(
    protocolFactory: ProtocolFactory<StreamProtocol>,
    path: string | null = null,
    options: UnixServerOptions = {},
  ): Future<Server> {
    this._checkOpen();
    return createUnixServer(this, protocolFactory, path, options, makeServer);
  }

  /**
   * Wraps a connection that was accepted elsewhere, and returns the transport and the protocol. It makes the
   * protocol and calls its `connectionMade`.
   *
   * @param protocolFactory makes the protocol (or a class of protocols)
   * @param sock a connected `net.Socket`, or the file descriptor of a connected TCP or unix socket. If the
   *   call throws, the caller still owns the socket. Otherwise the transport owns it, and closes it also
   *   after a failure or a cancel
   * @param options `ssl`: the options or the secure context of the server's side of TLS
   * @returns the transport and the protocol
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: the error of the TLS handshake
   *
   * **Cancellation** closes the socket. Exception: if the signal is already aborted at the call, the caller
   * keeps the socket.
   *
   * **Backends** On the simulated loop, `sock` is a descriptor of its host or a {@link Socket}.
   *
   * @example
   * ```ts
   * import { once } from 'node:events';
   * import type { AddressInfo, Socket } from 'node:net';
   * import { connect, createServer } from 'node:net';
   * import { getRunningLoop, Protocol, run } from 'gyre';
   *
   * await run(async () => {
   *   const server = createServer().listen(0, '127.0.0.1');
   *   await once(server, 'listening');
   *   const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
   *   const [sock] = (await once(server, 'connection')) as [Socket];
   *
   *   const [transport] = await getRunningLoop().connectAcceptedSocket(() => new Protocol(), sock);
   *   transport.write('Hello');
   *   const [data] = (await once(client, 'data')) as [Buffer];
   *   console.log(data.toString()); // Hello
   *   client.end();
   *   await transport[Symbol.asyncDispose]();
   *   server.close();
   * });
   * ```
   */
  connectAcceptedSocket<P extends StreamProtocol>(
    protocolFactory: ProtocolFactory<P>,
    sock: unknown,
    options: AcceptedSocketOptions = {},
  ): Future<[Transport, P]> {
    this._checkOpen();
    return connectAcceptedSocket(this, protocolFactory, sock, options);
  }

  /**
   * Starts TLS on an open connection of any kind, and returns the encrypted transport. TLS owns the old
   * transport from the call on: use only the new one.
   *
   * `protocol` gets no `connectionMade()`, but all calls for data, flow control and the end of the
   * connection. It may be the protocol of the old transport or another one. In the second case the old
   * protocol is not called any more.
   *
   * @param transport a transport of this loop for both directions that is not closing. A `Transport` class of
   *   your own works, too
   * @param ssl true (only for a client), `tls.ConnectionOptions`, `tls.TlsOptions`, or a `tls.SecureContext`
   * @param options `serverSide`; `serverHostname`, required for a client; `sslHandshakeTimeout` and
   *   `sslShutdownTimeout` in seconds; `received`: data that `protocol` received but that belongs to TLS;
   *   `signal` to cancel the call
   * @returns the new transport
   * @throws At the call: TypeError, RangeError, LoopError `ERR_TRANSPORT_CLOSED`, the error of an unusable
   *   key or certificate, and InvalidStateError if a file is being sent over the transport, or if
   *   `startTls()` was already called for it (use the transport that it returned). As a rejection: the error
   *   of the handshake (`ECONNRESET`, `ERR_TLS_CERT_ALTNAME_INVALID`), or TimeoutError. Then the connection
   *   is aborted, and `protocol` gets `connectionLost()`
   *
   * **Cancellation** aborts the connection, because a partial handshake cannot be undone. A signal that is
   * already aborted at the call leaves the connection alone.
   *
   * @example
   * ```ts
   * import { getRunningLoop, Protocol } from 'gyre';
   * import type { Transport } from 'gyre';
   *
   * class Client extends Protocol {
   *   override dataReceived(data: Buffer) {
   *     console.log(data.toString());
   *   }
   * }
   *
   * async function upgrade(plain: Transport): Promise<Transport> {
   *   const options = { serverHostname: 'mail.example.org' };
   *   return getRunningLoop().startTls(plain, new Client(), true, options);
   * }
   * console.log(typeof upgrade); // function
   * ```
   */
  startTls(
    transport: Transport,
    protocol: StreamProtocol,
    ssl: unknown,
    options: StartTlsOptions = {},
  ): Future<Transport> {
    this._checkOpen();
    return startTls(this, transport, protocol, ssl, options);
  }

  /**
   * Sends a file, or a part of it, over a transport that can write: TCP, unix socket, TLS, pipe. The future
   * completes when all of the data was written to the transport and the transport's buffer has room again.
   *
   * It reads pieces of 256 KiB and respects the transport's water marks; the protocol gets `pauseWriting()`
   * and `resumeWriting()` as with any other write. Reading from the transport continues. Until the future
   * settles, `write()`, `writeEof()` and `startTls()` throw `InvalidStateError`. The file is read up to the
   * end that it has when that end is reached: a file that shrinks is no error, and data appended to a file
   * that grows is sent, too.
   *
   * @param transport a transport of gyre, over which no other file is being sent
   * @param file a path, or a `FileHandle`, which stays open and whose position does not move
   * @param options `offset` and `count` in bytes; nothing is sent from beyond the end of the file. `fallback:
   *   false` rejects, as in asyncio, if there is no system call for it
   * @returns the number of bytes sent
   * @throws At the call: TypeError; RangeError, also for a transport of another loop; `InvalidStateError` if
   *   another file is being sent, or if `startTls()` was called for this transport (use the transport that it
   *   returned). As a rejection: {@link SendfileNotAvailableError} with `fallback: false`; the system's error
   *   (`ENOENT`, `EISDIR`); the error of the connection if it is lost (`ECONNRESET`); LoopError
   *   `ERR_TRANSPORT_CLOSED` if the transport was closed
   *
   * **Cancellation** closes the file. Data that was already written is still sent, and the connection stays
   * usable.
   *
   * **Backends** No backend has a system call for it; {@link sockSendfile} uses one. By path, the
   * simulated loop sends the files of its host.
   *
   * @example
   * ```ts
   * import { mkdtemp, rm, writeFile } from 'node:fs/promises';
   * import { tmpdir } from 'node:os';
   * import { join } from 'node:path';
   * import { getRunningLoop, Protocol, run } from 'gyre';
   *
   * const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
   * await writeFile(join(directory, 'file'), '0123456789');
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   await using server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
   *   const [, port] = server.sockets[0]!.getsockname() as [string, number];
   *   const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
   *   console.log(await loop.sendfile(transport, join(directory, 'file'), { offset: 4 })); // 6
   *   await transport[Symbol.asyncDispose]();
   * });
   * await rm(directory, { recursive: true });
   * ```
   */
  sendfile(transport: WriteTransport, file: SendfileSource, options: SendfileOptions = {}): Future<number> {
    this._checkOpen();
    return sendfile(this, transport, file, options);
  }

  /**
   * Opens a UDP socket, and returns its transport and protocol. It makes the protocol and calls its
   * `connectionMade`.
   *
   * With `localAddr` the socket receives at that address. With `remoteAddr` it is connected, and
   * `sendto(data)` needs no address. Both may be given. Without either, `family` chooses the kind of socket.
   * Host names in these options are looked up once, here; `sendto()` accepts literal addresses only.
   *
   * The protocol receives each datagram whole, with the sender's address: `[host, port]`, or `[host, port,
   * flowinfo, scopeId]` for IPv6. Empty datagrams are delivered, too. Datagrams that the kernel does not
   * accept at once are queued, and count for `pauseWriting()`. While the loop is stopped, about 256 KiB of
   * received datagrams wait for it; later ones are lost, as UDP permits.
   *
   * @param protocolFactory makes the protocol (or a class of protocols), when the socket is open
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: the system's error (`EADDRINUSE`,
   *   `EACCES`, `ENOTFOUND`); then no socket is open. Later errors go to `errorReceived()`, and the socket
   *   stays open: `ECONNREFUSED` if no socket receives at `remoteAddr`, `EMSGSIZE` for a datagram that is too
   *   long. Without `remoteAddr` the kernel does not report refused datagrams
   *
   * **Cancellation** leaves no socket open, at any moment. It also closes `options.sock`, unless the signal
   * is already aborted at the call.
   *
   * **Backends** `reusePort` needs Linux and Node 22.12 or 23.1. For multicast groups, TTL and buffer sizes,
   * pass a `dgram.Socket` as `options.sock`, or get the socket with `getExtraInfo('rawSocket')`.
   *
   * @example
   * ```ts
   * import { DatagramProtocol, getRunningLoop, run } from 'gyre';
   * import type { DatagramTransport, SocketAddress } from 'gyre';
   *
   * class Echo extends DatagramProtocol {
   *   #transport: DatagramTransport | null = null;
   *   override connectionMade(transport: DatagramTransport) {
   *     this.#transport = transport;
   *   }
   *   override datagramReceived(data: Buffer, address: SocketAddress) {
   *     this.#transport?.sendto(data, address);
   *   }
   * }
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   const [server] = await loop.createDatagramEndpoint(() => new Echo(), { localAddr: ['127.0.0.1', 0] });
   *   const [host, port] = server.getExtraInfo('sockname') as [string, number];
   *
   *   const answer = loop.createFuture<string>();
   *   const [client] = await loop.createDatagramEndpoint(
   *     () => ({ datagramReceived: (data: Buffer) => answer.setResult(String(data)) }),
   *     { remoteAddr: [host, port] },
   *   );
   *   client.sendto('hello');
   *   console.log(await answer); // hello
   *   await client[Symbol.asyncDispose]();
   *   await server[Symbol.asyncDispose]();
   * });
   * ```
   */
  createDatagramEndpoint<P extends DatagramProtocol>(
    protocolFactory: ProtocolFactory<P>,
    options: DatagramOptions = {},
  ): Future<[DatagramTransport, P]> {
    this._checkOpen();
    return createDatagramEndpoint(this, protocolFactory, options);
  }

  // --- names ---

  /**
   * Looks up a host and a service, as the system's `getaddrinfo` does. The result has each address twice, for
   * streams and for datagrams, in the system's order. CPython also lists raw sockets, which gyre does not
   * have. A literal address with a numeric port uses no thread.
   *
   * @param host a name or a literal address (IPv6 with or without a zone, `fe80::1%eth0`). `''` or null: this
   *   machine, or every interface with `AI_PASSIVE`
   * @param port a number, a string of digits, or the name of a service (`'http'`). `''` or null: 0
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: an error with Node's fields and
   *   the code `ENOTFOUND` (no such name, or neither host nor port), `EAI_AGAIN` (the name server does not
   *   answer), `EAI_SERVICE` (no such service for the type), `EAI_SOCKTYPE` (no socket has this type and
   *   protocol), `EAI_ADDRFAMILY` (a literal address of the other family), `EAI_BADFLAGS` (`AI_CANONNAME`
   *   without host), or another code of the system
   *
   * **Cancellation** takes effect at once. The thread that asks the system cannot be stopped: it continues,
   * its result is dropped, and a process that would exit by itself waits for it.
   *
   * **Backends** The simulated loop knows the names of its world, and the usual services. On Node, service
   * names come from the system's file (`/etc/services`); without that file no service has a name. On Node,
   * the canonical name comes from the hosts file or from DNS aliases; `AI_CANONNAME` is `ERR_UNSUPPORTED` for
   * a name that the system knows from another source. A name that stands for a link-local address is resolved
   * without the scope.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run, SOCK_STREAM } from 'gyre';
   *
   * await run(async () => {
   *   const found = await getRunningLoop().getaddrinfo('localhost', 80, { type: SOCK_STREAM });
   *   console.log(found.map(({ sockaddr }) => sockaddr)); // [ [ '127.0.0.1', 80 ] ], and with IPv6 also [ '::1', 80, 0, 0 ]
   * });
   * ```
   */
  getaddrinfo(
    host: string | null,
    port: number | string | null,
    options: GetaddrinfoOptions = {},
  ): Future<AddressInfo[]> {
    this._checkOpen();
    return getaddrinfo(this, host, port, options);
  }

  /**
   * Returns the name of an address's host and of a port's service, as the system's `getnameinfo` does. A host
   * or a service without a name is returned as its number.
   *
   * @param sockaddr `[host, port]` or `[host, port, flowinfo, scopeId]` with a literal address
   * @param flags `NI_NUMERICHOST`, `NI_NUMERICSERV`: return the number, without using a thread.
   *   `NI_NAMEREQD`: fail if the host has no name. `NI_DGRAM`: look for a UDP service. `NI_NOFQDN`: leave out
   *   the domain of a host in this machine's own domain
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: an error with Node's fields and
   *   the code `ENOTFOUND` with `NI_NAMEREQD`, or `EAI_AGAIN` if the name server does not answer
   *
   * **Cancellation** As in {@link getaddrinfo}.
   *
   * **Backends** The simulated loop knows the names of its world, and the usual services. On Node, service
   * names come from the system's file, and this machine's domain is the domain of its host name, or of its
   * first name in the hosts file.
   *
   * @example
   * ```ts
   * import { getRunningLoop, NI_NUMERICHOST, NI_NUMERICSERV, run } from 'gyre';
   *
   * await run(async () => {
   *   const [host, service] = await getRunningLoop().getnameinfo(['::1', 80, 0, 0], NI_NUMERICHOST | NI_NUMERICSERV);
   *   console.log(host, service); // ::1 80
   * });
   * ```
   */
  getnameinfo(
    sockaddr: SocketAddress,
    flags: number = 0,
    options: SignalOptions = {},
  ): Future<[host: string, service: string]> {
    this._checkOpen();
    return getnameinfo(this, sockaddr, flags, options);
  }

  // --- pipes and processes ---

  /**
   * Reads from a pipe, FIFO, socket, terminal or character device, and returns the transport and the
   * protocol. It makes the protocol and calls its `connectionMade`; then the protocol receives the data and
   * the end of file.
   *
   * The transport owns the pipe from now on, and closes it at its end. `process.stdin` (also as 0) is an
   * exception: it stays open, is paused, and may be read again.
   *
   * @param protocolFactory makes the protocol (or a class of protocols); its `eofReceived` cannot keep the
   *   pipe open
   * @param pipe a file descriptor; a `Readable` of bytes, such as `process.stdin` or the output of a child;
   *   or a `FileHandle`, which is closed at once, because the transport opens the pipe again.
   *   `getExtraInfo('pipe')` returns this value
   * @returns the transport and the protocol
   * @throws At the call: TypeError for any other value, for a regular file, and for a stream that another
   *   transport owns. As a rejection: the system's error
   *
   * **Cancellation** closes the pipe.
   *
   * **Backends** The Node backend reads a character device that is not a terminal in a thread of Node's pool.
   * A device that sends nothing occupies that thread, and keeps the process alive, until it sends data. The
   * native loop uses a thread only for devices that cannot be polled. The native loop also accepts a
   * {@link Socket}, and throws `InvalidStateError` for a descriptor that another handle owns. The simulated
   * loop accepts descriptors of its host.
   *
   * @example
   * ```ts
   * import { spawn } from 'node:child_process';
   * import { getRunningLoop, run } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   const ended = loop.createFuture<void>();
   *   const { stdout } = spawn('echo', ['hello'], { stdio: ['ignore', 'pipe', 'inherit'] });
   *   await loop.connectReadPipe(
   *     () => ({
   *       dataReceived: (data: Buffer) => console.log(data.toString().trim()), // hello
   *       connectionLost: () => ended.setResult(undefined),
   *     }),
   *     stdout,
   *   );
   *   await ended;
   * });
   * ```
   */
  connectReadPipe<P extends StreamProtocol>(
    protocolFactory: ProtocolFactory<P>,
    pipe: unknown,
    options: SignalOptions = {},
  ): Future<[ReadTransport, P]> {
    this._checkOpen();
    return connectReadPipe(this, protocolFactory, pipe, options);
  }

  /**
   * Writes to a pipe, FIFO, socket, terminal or character device, and returns the transport and the protocol.
   * It makes the protocol and calls its `connectionMade`.
   *
   * The transport owns the pipe from now on, and closes it at its end; `writeEof()` is the same as `close()`.
   * `process.stdout` and `process.stderr` (also as 1 and 2) are exceptions: they stay open, so that the
   * process can still print, and their reader sees the end of file when the process ends.
   *
   * When the reader closes its side, the transport closes: the protocol gets `connectionLost(null)` if all
   * data was sent, otherwise `EPIPE`.
   *
   * @param protocolFactory makes the protocol (or a class of protocols)
   * @param pipe a file descriptor; a `Writable` of bytes, such as `process.stdout` or the input of a child;
   *   or a `FileHandle`, which is closed at once, because the transport opens the pipe again.
   *   `getExtraInfo('pipe')` returns this value
   * @returns the transport and the protocol
   * @throws At the call: TypeError for any other value, for a regular file, and for a stream that another
   *   transport owns. As a rejection: the system's error
   *
   * **Cancellation** closes the pipe.
   *
   * **Backends** The transport learns at once that the reader has gone for sockets, and on Linux for
   * descriptors of pipes and FIFOs that are open for writing only. For streams of Node over a pipe
   * (`process.stdout`), for terminals, and on other systems, it learns so at the next write. Data that the
   * peer of a socket sends is dropped. Node writes synchronously to a terminal of the process itself; the
   * native loop does not, if the terminal is passed as 1 or 2. The native loop also accepts a {@link Socket},
   * and throws `InvalidStateError` for a descriptor that another handle owns. The simulated loop accepts
   * descriptors of its host.
   *
   * @example
   * ```ts
   * import { spawn } from 'node:child_process';
   * import { once } from 'node:events';
   * import { getRunningLoop, Protocol, run } from 'gyre';
   *
   * await run(async () => {
   *   const cat = spawn('cat', [], { stdio: ['pipe', 'pipe', 'inherit'] });
   *   const [transport] = await getRunningLoop().connectWritePipe(() => new Protocol(), cat.stdin);
   *   transport.write('hello');
   *   transport.close();
   *   const [data] = (await once(cat.stdout, 'data')) as [Buffer];
   *   console.log(data.toString()); // hello
   *   await once(cat, 'close');
   * });
   * ```
   */
  connectWritePipe<P extends StreamProtocol>(
    protocolFactory: ProtocolFactory<P>,
    pipe: unknown,
    options: SignalOptions = {},
  ): Future<[WriteTransport, P]> {
    this._checkOpen();
    return connectWritePipe(this, protocolFactory, pipe, options);
  }

  /**
   * Starts a program as a child process, and returns the transport and the protocol. It makes the protocol
   * and calls its `connectionMade`. The child's stdin, stdout and stderr are pipes to the transport, unless
   * `options` give something else: `DEVNULL`, `'inherit'`, a file descriptor, a stream of Node or a
   * `FileHandle`, and for stderr also `STDOUT`.
   *
   * The protocol receives the child's output with `pipeDataReceived(fd, data)`. `processExited` is called
   * when the child has exited. `connectionLost` is called when the child has exited, its pipes are closed,
   * and all data from them was delivered. A grandchild that inherited a pipe can keep it open for a long
   * time.
   *
   * `close()` of the loop kills its children and reports them as leaks. It does not kill the children of the
   * children (see `detached`).
   *
   * @param protocolFactory makes the protocol (or a class of protocols), when the child runs
   * @param program a path, or a name that is searched in `PATH`. If `env` is given, its `PATH` is used
   * @param args the arguments without the program's own name. No shell interprets them
   * @returns the transport and the protocol
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: the system's error with `code`,
   *   `syscall` and `path`: `ENOENT` (with `cwd` as `path`, if the directory is missing), `EACCES`, `EMFILE`,
   *   `EBADF`, `E2BIG`. Then no child and no pipe is left
   *
   * **Cancellation** kills the child if it already runs, and closes its pipes, at any moment.
   *
   * **Backends** The simulated loop starts the programs that its host has installed. Node's pipes are socket
   * pairs, so a child cannot open `/dev/stdin` or `/dev/stdout`. On Node, a child that a real-time signal
   * ended has the return code 0.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run, SubprocessProtocol } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   const ended = loop.createFuture<void>();
   *   class Printer extends SubprocessProtocol {
   *     override pipeDataReceived(fd: number, data: Buffer): void {
   *       console.log(fd, data.toString().trim()); // 1 Hello World
   *     }
   *     override connectionLost(): void {
   *       ended.setResult(undefined);
   *     }
   *   }
   *   const [transport] = await loop.subprocessExec(() => new Printer(), 'echo', ['Hello World']);
   *   await ended;
   *   console.log(transport.getReturncode()); // 0
   * });
   * ```
   */
  subprocessExec<P extends SubprocessProtocol>(
    protocolFactory: ProtocolFactory<P>,
    program: string,
    args: readonly string[] = [],
    options: SubprocessOptions = {},
  ): Future<[SubprocessTransport, P]> {
    this._checkOpen();
    return subprocessExec(this, protocolFactory, program, args, options);
  }

  /**
   * Starts a command of the system's shell (`/bin/sh -c`), otherwise as {@link subprocessExec}. Quote input
   * from outside for the shell, or pass it in the environment. If you need no shell, use `subprocessExec`.
   *
   * @param protocolFactory makes the protocol (or a class of protocols), when the shell runs
   * @param command the command line. The return code 127 means that the shell did not find the program
   * @returns the transport and the protocol
   * @throws as {@link subprocessExec}
   *
   * **Cancellation** kills the shell. Programs that the shell started continue (see `detached`).
   *
   * **Backends** As {@link subprocessExec}.
   *
   * @example
   * ```ts
   * import { DEVNULL, getRunningLoop, run } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   const exited = loop.createFuture<void>();
   *   const protocol = { processExited: () => exited.setResult(undefined) };
   *   const quiet = { stdin: DEVNULL, stdout: DEVNULL, stderr: DEVNULL };
   *   const [transport] = await loop.subprocessShell(() => protocol, 'test -d / && exit 3', quiet);
   *   await exited;
   *   console.log(transport.getReturncode()); // 3
   * });
   * ```
   */
  subprocessShell<P extends SubprocessProtocol>(
    protocolFactory: ProtocolFactory<P>,
    command: string,
    options: SubprocessOptions = {},
  ): Future<[SubprocessTransport, P]> {
    this._checkOpen();
    return subprocessShell(this, protocolFactory, command, options);
  }

  // --- descriptors and sockets ---

  /**
   * Calls `callback(...args)` whenever a file descriptor is readable: a pipe, a socket, a terminal, an
   * eventfd. It also calls it at the end of file and at an error, so that the reader notices them.
   *
   * The watch is level-triggered: the callback is called again until all available data was read. It runs in
   * a turn of the loop, as with `callSoon`, in the async context of this call, and its exceptions are
   * reported. Each descriptor has one callback: another call replaces it.
   *
   * @param fd a number, or an object with `fileno()`, such as a {@link Socket} of this loop. The caller still
   *   owns it, and must call `removeReader()` before closing it. A `Socket` does so itself
   * @returns a handle; its `cancel()` does the same as `removeReader()`
   * @throws TypeError, RangeError, LoopError. The system's error: `EBADF`, and `EPERM` for a regular file,
   *   which is always ready. {@link InvalidStateError} for a descriptor that a transport owns, or for a
   *   socket on which a `sockRecv()` or a similar call waits
   *
   * **Backends** The native loop, and the simulated loop for descriptors of its host: Node does not report
   * that a descriptor is ready, so the portable loop throws `ERR_UNSUPPORTED`.
   *
   * @example
   * ```ts
   * import { AF_INET, getRunningLoop, run, SOCK_DGRAM, Socket, UvEventLoop } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   using socket = new Socket(AF_INET, SOCK_DGRAM);
   *   socket.bind(['127.0.0.1', 0]);
   *   const ready = loop.createFuture<void>();
   *   loop.addReader(socket, () => {
   *     loop.removeReader(socket);
   *     ready.setResult();
   *   });
   *   await loop.sockSendto(socket, 'hello', socket.getsockname()!);
   *   await ready;
   *   console.log(String(await loop.sockRecv(socket, 100))); // hello
   * }, { loopFactory: () => new UvEventLoop() });
   * ```
   */
  addReader<A extends unknown[]>(fd: Descriptor, callback: (...args: A) => unknown, ...args: A): Handle {
    this._checkOpen();
    return addWatcher(this, 'reading', fd, callback as AnyCallback, args, this.addReader);
  }

  /**
   * Stops the watch that {@link addReader} started. The callback is not called any more, even if it was
   * already scheduled.
   *
   * @param fd as in {@link addReader}
   * @returns true if there was a watch
   * @throws TypeError, RangeError, LoopError
   *
   * **Backends** As {@link addReader}.
   */
  removeReader(fd: Descriptor): boolean {
    this._checkOpen();
    return removeWatcher(this, 'reading', fd);
  }

  /**
   * Calls `callback(...args)` whenever a file descriptor is writable, or its reader has gone. Otherwise as
   * {@link addReader}. Most descriptors are writable most of the time, so a callback that is not removed is
   * called in every turn.
   *
   * @param fd as in {@link addReader}
   * @returns a handle; its `cancel()` does the same as `removeWriter()`
   * @throws as {@link addReader}
   *
   * **Backends** As {@link addReader}.
   *
   * @example
   * ```ts
   * import { AF_INET, getRunningLoop, run, SOCK_DGRAM, Socket, UvEventLoop } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   using socket = new Socket(AF_INET, SOCK_DGRAM);
   *   const ready = loop.createFuture<string>();
   *   loop.addWriter(socket, () => {
   *     loop.removeWriter(socket);
   *     ready.setResult('it can be written to');
   *   });
   *   console.log(await ready);
   * }, { loopFactory: () => new UvEventLoop() });
   * ```
   */
  addWriter<A extends unknown[]>(fd: Descriptor, callback: (...args: A) => unknown, ...args: A): Handle {
    this._checkOpen();
    return addWatcher(this, 'writing', fd, callback as AnyCallback, args, this.addWriter);
  }

  /**
   * Stops the watch that {@link addWriter} started. The callback is not called any more, even if it was
   * already scheduled.
   *
   * @param fd as in {@link addReader}
   * @returns true if there was a watch
   * @throws TypeError, RangeError, LoopError
   *
   * **Backends** As {@link addReader}.
   */
  removeWriter(fd: Descriptor): boolean {
    this._checkOpen();
    return removeWatcher(this, 'writing', fd);
  }

  /**
   * Receives up to `size` bytes from a socket. A datagram socket receives one datagram; bytes of it beyond
   * `size` are lost.
   *
   * @param sock a socket of this loop. Only one call at a time may wait to read from it
   * @param size bytes
   * @param options `signal`
   * @returns the received data. Empty data means the end of the connection, or an empty datagram
   * @throws At the call: TypeError, RangeError, LoopError, {@link InvalidStateError} if another call already
   *   waits. As a rejection: the system's error (`ECONNRESET`, `ENOTCONN`), and `EBADF` if the socket is
   *   closed or gets closed
   *
   * **Cancellation** loses no data: a cancelled call has received nothing.
   *
   * **Backends** The native and the simulated loop have sockets; the portable one throws `ERR_UNSUPPORTED`.
   *
   * @example
   * ```ts
   * import { createServer } from 'node:net';
   * import { once } from 'node:events';
   * import { getRunningLoop, run, Socket, UvEventLoop } from 'gyre';
   *
   * const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
   * await once(server, 'listening');
   * const { port } = server.address() as { port: number };
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   using socket = new Socket();
   *   await loop.sockConnect(socket, ['127.0.0.1', port]);
   *   console.log(String(await loop.sockRecv(socket, 1024))); // hello
   *   console.log((await loop.sockRecv(socket, 1024)).length); // 0
   * }, { loopFactory: () => new UvEventLoop() });
   * server.close();
   * ```
   */
  sockRecv(sock: Socket, size: number, options: SignalOptions = {}): Future<Buffer> {
    this._checkOpen();
    return sockRecv(this, sock, size, options);
  }

  /**
   * Receives as {@link sockRecv}, into a buffer of the caller. Do not transfer the buffer's memory until the
   * future settles.
   *
   * @param sock as in {@link sockRecv}
   * @param buffer the data is stored at its beginning
   * @param options `signal`
   * @returns the number of bytes received
   * @throws as {@link sockRecv}
   *
   * **Cancellation** As {@link sockRecv}: the buffer is unchanged.
   *
   * **Backends** As {@link sockRecv}.
   */
  sockRecvInto(sock: Socket, buffer: Uint8Array, options: SignalOptions = {}): Future<number> {
    this._checkOpen();
    return sockRecvInto(this, sock, buffer, options);
  }

  /**
   * Receives as {@link sockRecv}, and also returns the sender's address.
   *
   * @param sock as in {@link sockRecv}
   * @param size bytes
   * @param options `signal`
   * @returns the received data and the sender's address. The address is null for a connection, and for a unix
   *   socket without a name
   * @throws as {@link sockRecv}
   *
   * **Cancellation** As {@link sockRecv}.
   *
   * **Backends** As {@link sockRecv}.
   *
   * @example
   * ```ts
   * import { AF_INET, getRunningLoop, run, SOCK_DGRAM, Socket, UvEventLoop } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   using here = new Socket(AF_INET, SOCK_DGRAM);
   *   using there = new Socket(AF_INET, SOCK_DGRAM);
   *   there.bind(['127.0.0.1', 0]);
   *   console.log(await loop.sockSendto(here, 'hello', there.getsockname()!)); // 5
   *   const [data, address] = await loop.sockRecvfrom(there, 1024);
   *   console.log(String(data), address![0]); // hello 127.0.0.1
   * }, { loopFactory: () => new UvEventLoop() });
   * ```
   */
  sockRecvfrom(
    sock: Socket,
    size: number,
    options: SignalOptions = {},
  ): Future<[data: Buffer, address: SocketAddress | null]> {
    this._checkOpen();
    return sockRecvfrom(this, sock, size, options);
  }

  /**
   * Receives as {@link sockRecvfrom}, into a buffer of the caller. Do not transfer the buffer's memory until
   * the future settles.
   *
   * @param sock as in {@link sockRecv}
   * @param buffer the data is stored at its beginning
   * @param options `signal`
   * @returns the number of bytes received, and the sender's address
   * @throws as {@link sockRecv}
   *
   * **Cancellation** As {@link sockRecvInto}.
   *
   * **Backends** As {@link sockRecv}.
   */
  sockRecvfromInto(
    sock: Socket,
    buffer: Uint8Array,
    options: SignalOptions = {},
  ): Future<[received: number, address: SocketAddress | null]> {
    this._checkOpen();
    return sockRecvfromInto(this, sock, buffer, options);
  }

  /**
   * Sends all of `data` to the peer of a socket. The future completes when the kernel has accepted all bytes.
   *
   * @param sock a socket of this loop. Only one call at a time may wait to write to it
   * @param data must not be changed until the future settles
   * @param options `signal`
   * @throws At the call: TypeError, RangeError, LoopError, {@link InvalidStateError} if another call already
   *   waits. As a rejection: the system's error (`EPIPE`, `ECONNRESET`, `EMSGSIZE` for a datagram), and
   *   `EBADF` if the socket is closed or gets closed. After a rejection, the number of bytes sent is unknown
   *
   * **Cancellation** stops the call in the middle: the number of bytes sent is unknown, so close a stream
   * socket then.
   *
   * **Backends** As {@link sockRecv}.
   *
   * @example
   * ```ts
   * import { once } from 'node:events';
   * import { createServer } from 'node:net';
   * import { getRunningLoop, run, Socket, UvEventLoop } from 'gyre';
   *
   * const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
   * await once(server, 'listening');
   * const { port } = server.address() as { port: number };
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   using socket = new Socket();
   *   await loop.sockConnect(socket, ['127.0.0.1', port]);
   *   await loop.sockSendall(socket, 'echo');
   *   console.log(String(await loop.sockRecv(socket, 1024))); // echo
   * }, { loopFactory: () => new UvEventLoop() });
   * server.close();
   * ```
   */
  sockSendall(sock: Socket, data: string | Uint8Array, options: SignalOptions = {}): Future<void> {
    this._checkOpen();
    return sockSendall(this, sock, data, options);
  }

  /**
   * Sends a file, or a part of it, over a connected socket. It uses the `sendfile` system call, which copies
   * no data through this process.
   *
   * It sends pieces of 256 KiB. Reading a file that is not in memory blocks the loop until the disk has
   * delivered the data; the `fallback` reads in a thread. The file is read up to the end that it has when
   * that end is reached.
   *
   * @param sock a socket of this loop, of type `SOCK_STREAM`. Only one call at a time may wait to write to it
   * @param file a path, or a `FileHandle`, which stays open and whose position does not move
   * @param options `offset` and `count` in bytes. `fallback`: if the system call does not support the file (a
   *   file of /proc), true reads and sends it piece by piece (default), and false rejects. `signal`
   * @returns the number of bytes sent
   * @throws At the call: TypeError, RangeError, LoopError. As a rejection: {@link SendfileNotAvailableError}
   *   with `fallback: false`, the error of the file (`ENOENT`, `EISDIR`), and the error of the socket as in
   *   {@link sockSendall}
   *
   * **Cancellation** stops the call in the middle: the number of bytes sent is unknown, so close the socket
   * then.
   *
   * **Backends** As {@link sockRecv}.
   *
   * @example
   * ```ts
   * import { mkdtemp, rm, writeFile } from 'node:fs/promises';
   * import { once } from 'node:events';
   * import { createServer } from 'node:net';
   * import { tmpdir } from 'node:os';
   * import { join } from 'node:path';
   * import { getRunningLoop, run, Socket, UvEventLoop } from 'gyre';
   *
   * const directory = await mkdtemp(join(tmpdir(), 'gyre-'));
   * await writeFile(join(directory, 'file'), '0123456789');
   * const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
   * await once(server, 'listening');
   * const { port } = server.address() as { port: number };
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   using socket = new Socket();
   *   await loop.sockConnect(socket, ['127.0.0.1', port]);
   *   console.log(await loop.sockSendfile(socket, join(directory, 'file'), { offset: 4 })); // 6
   * }, { loopFactory: () => new UvEventLoop() });
   * server.close();
   * await rm(directory, { recursive: true });
   * ```
   */
  sockSendfile(sock: Socket, file: SendfileSource, options: SendfileOptions = {}): Future<number> {
    this._checkOpen();
    return sockSendfile(this, sock, file, options);
  }

  /**
   * Sends one datagram.
   *
   * @param sock a socket of this loop. Only one call at a time may wait to write to it
   * @param data must not be changed until the future settles
   * @param address the receiver: `[host, port]` or `[host, port, flowinfo, scopeId]` with a literal address,
   *   or a path for a unix socket
   * @param options `signal`
   * @returns the number of bytes sent
   * @throws as {@link sockSendall}. As a rejection also `ENOENT` and `ECONNREFUSED`, if a unix socket has no
   *   receiver
   *
   * **Cancellation** A cancelled call has sent nothing.
   *
   * **Backends** As {@link sockRecv}.
   *
   * @example
   * ```ts
   * import { AF_INET, getRunningLoop, run, SOCK_DGRAM, Socket, UvEventLoop } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   using socket = new Socket(AF_INET, SOCK_DGRAM);
   *   socket.bind(['127.0.0.1', 0]);
   *   await loop.sockSendto(socket, 'to myself', socket.getsockname()!);
   *   console.log(String(await loop.sockRecv(socket, 1024))); // to myself
   * }, { loopFactory: () => new UvEventLoop() });
   * ```
   */
  sockSendto(
    sock: Socket,
    data: string | Uint8Array,
    address: SocketAddress,
    options: SignalOptions = {},
  ): Future<number> {
    this._checkOpen();
    return sockSendto(this, sock, data, address, options);
  }

  /**
   * Connects a socket.
   *
   * @param sock a socket of this loop
   * @param address `[host, port]` or `[host, port, flowinfo, scopeId]`, or a path for a unix socket. A host
   *   name is looked up, and its first address is used. The port may be the name of a service
   * @param options `signal`
   * @throws At the call: TypeError, RangeError, LoopError, {@link InvalidStateError} if another call already
   *   waits. As a rejection: the system's error (`ECONNREFUSED`, `ETIMEDOUT`, `ENOTFOUND`), `EAGAIN` if the
   *   accept queue of a unix server is full, and `EBADF` if the socket is closed or gets closed
   *
   * **Cancellation** ends the wait. The kernel continues to connect until the socket is closed, and another
   * `sockConnect()` waits for the same attempt.
   *
   * **Backends** As {@link sockRecv}.
   *
   * @example
   * ```ts
   * import { once } from 'node:events';
   * import { createServer } from 'node:net';
   * import { getRunningLoop, run, Socket, UvEventLoop } from 'gyre';
   *
   * const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
   * await once(server, 'listening');
   * const { port } = server.address() as { port: number };
   * await run(async () => {
   *   using socket = new Socket();
   *   await getRunningLoop().sockConnect(socket, ['127.0.0.1', port]);
   *   console.log(socket.getpeername()![1] === port); // true
   * }, { loopFactory: () => new UvEventLoop() });
   * server.close();
   * ```
   */
  sockConnect(sock: Socket, address: PeerAddress, options: SignalOptions = {}): Future<void> {
    this._checkOpen();
    return sockConnect(this, sock, address, options);
  }

  /**
   * Accepts a connection from a listening socket.
   *
   * @param sock a socket of this loop. Only one call at a time may wait to read from it
   * @param options `signal`
   * @returns a new socket, which the caller must close, and the peer's address
   * @throws At the call: TypeError, RangeError, LoopError, {@link InvalidStateError} if another call already
   *   waits. As a rejection: the system's error (`EINVAL` if the socket does not listen, `EMFILE`), and
   *   `EBADF` if the socket is closed or gets closed
   *
   * **Cancellation** loses no connection: a cancelled call has accepted none.
   *
   * **Backends** As {@link sockRecv}.
   *
   * @example
   * ```ts
   * import { connect } from 'node:net';
   * import { getRunningLoop, run, Socket, UvEventLoop } from 'gyre';
   *
   * await run(async () => {
   *   using listener = new Socket();
   *   listener.bind(['127.0.0.1', 0]);
   *   listener.listen();
   *   const client = connect(listener.getsockname()![1] as number, '127.0.0.1');
   *   const [socket, address] = await getRunningLoop().sockAccept(listener);
   *   console.log(address![0]); // 127.0.0.1
   *   socket.close();
   *   client.destroy();
   * }, { loopFactory: () => new UvEventLoop() });
   * ```
   */
  sockAccept(
    sock: Socket,
    options: SignalOptions = {},
  ): Future<[socket: Socket, address: SocketAddress | null]> {
    this._checkOpen();
    return sockAccept(this, sock, options);
  }

  // --- signals ---

  /**
   * Calls `callback(...args)` at each signal, instead of the signal's default action. The loop has one
   * handler for each signal: another call replaces the callback. Several loops of a process may each have a
   * handler, next to the program's own `process.on('SIGTERM', …)`.
   *
   * The callback runs in a turn of the loop, as with `callSoon`, in the async context of this call, and its
   * exceptions are reported. A signal that comes while the loop is stopped is handled when the loop runs
   * again. `close()` removes the handler. A handler does not keep the process alive.
   *
   * @param signum a name or a number: `'SIGTERM'`, 15
   * @throws TypeError, RangeError for an unknown signal and for a signal that cannot be handled (`SIGKILL`,
   *   `SIGSTOP`). LoopError `ERR_SIGNAL_SETUP` on a worker thread, which receives no signals;
   *   `ERR_UNSUPPORTED` for real-time signals, which have no names in Node; `ERR_LOOP_CLOSED`
   *
   * **Backends** The simulated loop gets the signals that are sent to its host, with the numbers of Linux.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   const asked = loop.createFuture<string>();
   *   loop.addSignalHandler('SIGUSR2', () => asked.setResult('asked to go'));
   *   process.kill(process.pid, 'SIGUSR2');
   *   console.log(await asked);
   *   loop.removeSignalHandler('SIGUSR2');
   * });
   * ```
   */
  addSignalHandler<A extends unknown[]>(
    signum: string | number,
    callback: (...args: A) => unknown,
    ...args: A
  ): void {
    this._checkOpen();
    addSignalHandler(this, signum, callback as AnyCallback, args, this.addSignalHandler);
  }

  /**
   * Removes the loop's handler of a signal. A signal that has come but was not handled yet is dropped. When
   * the last handler in the process is removed, the signal has its default action again: `SIGTERM` ends the
   * process. Exceptions: `SIGPIPE` and `SIGXFSZ` stay ignored, as Node sets them; and `SIGUSR1` no longer
   * starts Node's debugger but ends the process.
   *
   * @param signum a name or a number
   * @returns true if there was a handler
   * @throws TypeError, RangeError for an unknown signal; LoopError `ERR_LOOP_CLOSED`
   */
  removeSignalHandler(signum: string | number): boolean {
    this._checkOpen();
    return removeSignalHandler(this, signum);
  }

  /**
   * Returns an async iterable of the names of signals, as they come: `for await (const name of
   * loop.signals('SIGHUP', 'SIGUSR2'))`.
   *
   * The signals lose their default action when an iteration begins, and have it again when the iteration is
   * left, by `break`, `return`, an exception or a cancel. A signal that comes while the body runs is kept for
   * the next step. As in the kernel, a signal that is pending already is not kept twice. Several iterations,
   * and handlers of {@link addSignalHandler}, each see every signal. An iteration does not keep the process
   * alive, and ends with the loop. `run()` leaves `SIGINT` and `SIGTERM` to an iteration over them.
   *
   * @param signums names or numbers; the last argument may be an object with `signal`, an `AbortSignal`,
   *   whose abort makes the next step throw a `CancelledError`
   * @throws TypeError, RangeError, LoopError as {@link addSignalHandler}
   *
   * **Cancellation** of the task ends the iteration; no signal is lost for others.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   loop.callLater(0.01, () => process.kill(process.pid, 'SIGHUP'));
   *   for await (const name of loop.signals('SIGHUP', 'SIGUSR2')) {
   *     console.log(name); // SIGHUP
   *     break;
   *   }
   * });
   * ```
   */
  signals(
    ...signums: [...signums: (string | number)[], last: string | number | SignalOptions]
  ): AsyncIterable<string> {
    this._checkOpen();
    return iterateSignals(this, signums);
  }

  /** Returns true if this loop handles the signal; then `run()` does not. @internal */
  _hasSignalHandler(signum: number): boolean {
    return hasSignalHandler(this, signum);
  }

  // --- executors ---

  /**
   * Runs `fn(...args)` in a thread or a process while the loop continues, and returns its result; a promise
   * that it returns is awaited. Use it for computations. Code that waits for I/O belongs in a task.
   *
   * `fn` is passed by module and name (`importFunctions()`), or as its source text. A function passed as
   * source has its arguments, globals and `import()`, but no variables from its surroundings. Arguments and
   * results are copied with `structuredClone()`.
   *
   * @param executor a pool, or any object with `submit()` and `shutdown()`. null: the default executor, a
   *   `ThreadPoolExecutor` that is made on first use
   * @param fn the function
   * @param args its arguments
   * @returns a future of the result
   * @throws At the call: TypeError if `fn` is not a function or `executor` not an executor, if the function
   *   has no source (native or bound), or if the arguments cannot be copied; {@link BrokenExecutorError} if
   *   the executor was shut down; LoopError. As a rejection: the function's exception, with class, `code`,
   *   `cause` and stack; {@link BrokenExecutorError} if the worker died
   *
   * **Cancellation** ends the future at once. A function that has not started never runs. A running function
   * can see the cancel (`currentJob().cancelled()`); after the pool's `gracePeriod` the pool terminates its
   * worker.
   *
   * **Backends** The default executor of a simulated loop runs the function in this thread, after a few
   * milliseconds of virtual time. While another executor works, virtual time stands still.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from 'gyre';
   *
   * const fib = (n: number): number => {
   *   let [a, b] = [0, 1];
   *   for (let i = 0; i < n; i++) [a, b] = [b, a + b];
   *   return a;
   * };
   * console.log(await run(() => getRunningLoop().runInExecutor(null, fib, 30))); // 832040
   * ```
   */
  runInExecutor<F extends AnyFunction>(
    executor: Executor | null,
    fn: F,
    ...args: Parameters<F>
  ): Future<Awaited<ReturnType<F>>> {
    this._checkOpen();
    return runInExecutor(this, executor, fn, args);
  }

  /**
   * Sets the executor that `runInExecutor(null, …)` and `toThread()` use. The loop owns it from then on:
   * `shutdownDefaultExecutor()` shuts it down, and `close()` of the loop does so without waiting. An earlier
   * default executor that the loop made ends when its running functions have returned.
   *
   * @param executor a pool, or any object with `submit()` and `shutdown()`
   * @throws TypeError for any other value; LoopError
   *
   * @example
   * ```ts
   * import { getRunningLoop, ProcessPoolExecutor, run } from 'gyre';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   loop.setDefaultExecutor(new ProcessPoolExecutor({ maxWorkers: 1 }));
   *   console.log((await loop.runInExecutor(null, () => process.pid)) !== process.pid); // true
   *   await loop.shutdownDefaultExecutor();
   * });
   * ```
   */
  setDefaultExecutor(executor: Executor): void {
    this._checkOpen();
    setDefaultExecutor(this, executor);
  }

  /**
   * Shuts the default executor down, and waits until its functions have returned and its workers have exited.
   * After the call, `runInExecutor(null, …)` throws {@link BrokenExecutorError}, even if another default is
   * set. `run()` calls this method at its end.
   *
   * @param options `signal` cancels the wait
   * @returns a future without a result
   *
   * **Cancellation** ends the wait; the executor stays shut down.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run, toThread } from 'gyre';
   *
   * await run(async () => {
   *   console.log(await toThread((a: number, b: number) => a * b, 6, 7)); // 42
   *   await getRunningLoop().shutdownDefaultExecutor();
   * });
   * ```
   */
  shutdownDefaultExecutor(options?: SignalOptions): Future<void> {
    this._checkOpen();
    return shutdownDefaultExecutor(this, signalOf(options));
  }

  /**
   * Returns a port over which another thread can call `handlers` on this loop: a `callSoonThreadsafe()` from
   * a worker thread. Pass the port to the thread (with `workerData` and `transferList`, `postMessage`, or the
   * `transfer` option of a pool). There `connectRemote<typeof handlers>(port)` returns an object with
   * `callSoonThreadsafe(name, ...args)`.
   *
   * Each call is a `callSoon` on this loop, in order, in the async context of this call of `remote()`. It
   * wakes an idle loop; a stopped loop makes the call when it runs again. The port closes with the loop, and
   * does not keep the process alive.
   *
   * @param handlers an object of functions, called by their names; or an instance of a class, with its own
   *   and inherited methods. They are called as methods of `handlers`
   * @returns a `MessagePort`, for one thread
   * @throws TypeError for an object with values that are not functions, and for an instance without methods;
   *   LoopError
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from 'gyre';
   * import { Worker } from 'node:worker_threads';
   *
   * await run(async () => {
   *   const loop = getRunningLoop();
   *   const sum = loop.createFuture<number>();
   *   const port = loop.remote({ sum: (n: number) => sum.setResult(n) });
   *   // Usually a file of its own, with `connectRemote<typeof handlers>(workerData)`.
   *   const code = `import('gyre').then(({ connectRemote }) => {
   *     const remote = connectRemote(require('node:worker_threads').workerData);
   *     remote.callSoonThreadsafe('sum', 1 + 2);
   *   })`;
   *   new Worker(code, { eval: true, workerData: port, transferList: [port] });
   *   console.log(await sum); // 3
   * });
   * ```
   */
  remote<H extends RemoteHandlers>(handlers: WithHandlers<H>): RemotePort<H> {
    this._checkOpen();
    return remote<H>(this, handlers);
  }

  // --- errors and debugging ---

  /**
   * Sets `handler(loop, context)`, which receives every exception that no caller can catch. null restores the
   * default, which prints them.
   */
  setExceptionHandler(handler: ((loop: this, context: ExceptionContext) => void) | null): void {
    if (handler !== null) checkFunction('handler', handler);
    this._checkOpen();
    this.#exceptionHandler = handler as ExceptionHandler | null;
  }

  /** Returns the handler that {@link setExceptionHandler} set, or null. */
  getExceptionHandler(): ((loop: BaseEventLoop, context: ExceptionContext) => void) | null {
    this._checkOpen();
    return this.#exceptionHandler;
  }

  /**
   * Prints `context` to standard error: the message, the objects concerned, the exception with its stack.
   * With `GYRE_REPORTS=json` in the environment it prints one line of JSON. A handler may call it, and a
   * subclass may override it.
   */
  defaultExceptionHandler(context: ExceptionContext): void {
    printException(context);
  }

  /**
   * Reports `context` to the exception handler. It never throws. It also works on a closed loop, because some
   * leaks are found late.
   */
  callExceptionHandler(context: ExceptionContext): void {
    if (this._owned.killed) return;
    handleException(this, this.#exceptionHandler, (c) => this.defaultExceptionHandler(c), context);
  }

  /**
   * Debug mode; `GYRE_DEBUG=1` turns it on, too. Slow callbacks are reported with the place that scheduled
   * them. Calls from code that the loop does not run throw. Reports of leaks and of lost exceptions have the
   * place where the object was created.
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

  /**
   * Seconds; default 0.1. Code that holds the loop for longer is counted in `metrics()`, in every mode. In
   * debug mode, the exception handler gets a report for each such callback.
   *
   * Without debug mode, the process emits a warning (`GYRE_SLOW_CALLBACK`) with the name of the task, at most
   * once a second. A program that has not set this property is warned of code that held the loop for a second
   * or longer, because a shorter pause is usual while a program starts. Setting the property makes it the
   * limit of the warning, too. Infinity: nothing is too long. `node --disable-warning=GYRE_SLOW_CALLBACK`
   * hides the warning. A simulated loop warns only if the property was set.
   *
   * Without debug mode, code of callbacks, timers and tasks is measured, but not the callbacks of a protocol.
   * The clock is the wall clock: a process that a signal or a debugger has stopped counts as held, too.
   *
   * @throws TypeError, RangeError
   */
  get slowCallbackDuration(): number {
    return this._scheduler.meter.limit;
  }

  set slowCallbackDuration(seconds: number) {
    checkSeconds('slowCallbackDuration', seconds);
    const { meter } = this._scheduler;
    meter.limit = seconds;
    meter.reportFrom = seconds;
    this.#warnWhenHeld();
  }

  #warnWhenHeld(): void {
    this._scheduler.meter.report = ({ by, seconds: held }) => {
      if (!this.#debug)
        process.emitWarning(`${by} held the event loop for ${held.toFixed(3)} seconds`, {
          code: 'GYRE_SLOW_CALLBACK',
        });
    };
  }

  /**
   * Whether the recorder keeps the events of this loop: steps of tasks and their waits, callbacks, the
   * lateness of timers, calls of protocols. Default: true; `GYRE_RECORDER=0` in the environment makes it
   * false.
   *
   * A thread has one recorder, with the last 16,384 events of its loops in 330 KiB. `npx gyre trace` shows
   * them, and `writeTrace()` writes them to a file. A simulated loop is never recorded, because its option
   * `trace` keeps everything.
   *
   * @throws TypeError; LoopError `ERR_UNSUPPORTED` if a simulated loop is told to record
   */
  get recording(): boolean {
    return this._scheduler.recorder !== null;
  }

  set recording(on: boolean) {
    checkBoolean('recording', on);
    if (on && this._backend.name === 'sim') {
      throw new LoopError('ERR_UNSUPPORTED', 'a simulated loop is not recorded: use its option `trace`');
    }
    this._scheduler.recorder = on ? threadRecorder() : null;
  }

  /**
   * Returns the metrics of the loop: histograms of its turns, of the lateness of its timers and of the length
   * of its ready queue, the code that has held it, and counts. They are measured in every mode, from the
   * creation of the loop on.
   *
   * The names are those of OpenTelemetry's semantic conventions for Node (`nodejs.eventloop.…`); others begin
   * with `gyre.`. Durations are seconds.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run, sleep } from 'gyre';
   *
   * await run(async () => {
   *   for (let i = 0; i < 10; i++) await sleep(0.001);
   *   const metrics = getRunningLoop().metrics();
   *   console.log(metrics['nodejs.eventloop.delay'].p99, metrics['gyre.loop.turn.duration'].max);
   * });
   * ```
   */
  metrics(): LoopMetrics {
    this._checkOpen();
    return loopMetrics(this);
  }

  /** @internal */
  get _hasDefaultExecutor(): boolean {
    return hasDefaultExecutor(this);
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

  /**
   * Uses a handle, because a handle captures the async context: a task runs in the context in which it was
   * created.
   */
  #firstStep<T>(task: Task<T>): void {
    const handle = this._scheduler.callSoon(runFirstStep as AnyCallback, [task]);
    if (this.#debug) copyOrigin(task, handle);
  }

  #coroutine<T>(fn: (() => PromiseLike<T>) | PromiseLike<T>): () => PromiseLike<T> {
    if (typeof fn === 'function' && !isAwaitable(fn)) return fn as () => PromiseLike<T>;
    if (fn instanceof Future && fn._loop !== this)
      throw outOfRange('fn', fn, 'of this loop, not of another one');
    if (isAwaitable(fn)) {
      // Follow the promise from now on: a rejection before the task's first turn must not count as unhandled.
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

showInOneLine(BaseEventLoop);

/**
 * A task factory that runs the first step of each task at its creation:
 * `loop.setTaskFactory(eagerTaskFactory)`. A task that ends without waiting costs no turn then. A task with
 * `eager: false` starts in the next turn.
 *
 * @param loop the loop of the task
 * @param fn the function of the task
 * @param options `name`, `eager`, `context`
 *
 * @example
 * ```ts
 * import { createTask, eagerTaskFactory, getRunningLoop, run } from 'gyre';
 *
 * await run(async () => {
 *   getRunningLoop().setTaskFactory(eagerTaskFactory);
 *   const task = createTask(async () => 42);
 *   await task;
 *   console.log(task.result()); // 42
 * });
 * ```
 */
export function eagerTaskFactory<T>(
  loop: BaseEventLoop,
  fn: () => PromiseLike<T>,
  options: TaskOptions,
): Task<T> {
  return loop._newTask(fn, eagerly(options));
}

/**
 * Returns a task factory that calls `factory`, and asks it for tasks whose first step runs at their
 * creation. It is {@link eagerTaskFactory} for programs that make their tasks themselves.
 *
 * @param factory a task factory, for example one that names or counts the tasks. Its `options.eager` is
 *   true unless the caller of `createTask()` says otherwise
 * @throws TypeError if `factory` is not a function
 *
 * @example
 * ```ts
 * import { createEagerTaskFactory, createTask, eagerTaskFactory, getRunningLoop, run } from 'gyre';
 *
 * await run(async () => {
 *   let count = 0;
 *   const eager = createEagerTaskFactory((loop, fn, options) => {
 *     return eagerTaskFactory(loop, fn, { name: `job-${++count}`, ...options });
 *   });
 *   getRunningLoop().setTaskFactory(eager);
 *   const task = createTask(async () => 42);
 *   console.log(task.name, await task); // job-1 42
 * });
 * ```
 */
export function createEagerTaskFactory(factory: TaskFactory): TaskFactory {
  checkFunction('factory', factory);
  return (loop, fn, options) => factory(loop, fn, eagerly(options));
}

function eagerly(options: TaskOptions): TaskOptions {
  return { ...options, eager: options.eager ?? true };
}

function runFirstStep(task: Task): void {
  task._run();
}
