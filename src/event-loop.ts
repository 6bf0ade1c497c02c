/**
 * The public loop: one line a method, delegating down. Whatever wants more than that lives in a lower layer.
 */
import type { Backend } from './backend/backend.ts';
import type { AddressInfo, SocketAddress } from './base/address.ts';
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
import type { AnyFunction, Executor } from './executor/executor.ts';
import {
  hasDefaultExecutor,
  runInExecutor,
  setDefaultExecutor,
  shutdownDefaultExecutor,
} from './executor/executor.ts';
import type { RemoteHandlers, RemotePort, WithHandlers } from './executor/remote.ts';
import { remote } from './executor/remote.ts';
import { runningLoopOrNull } from './loop/context.ts';
import { copyOrigin, rememberOrigin } from './loop/creation.ts';
import type { ExceptionHandler } from './loop/exception-handler.ts';
import { handleException, printException } from './loop/exception-handler.ts';
import type { AnyCallback, Handle, TimerHandle } from './loop/handle.ts';
import { Ownership } from './loop/ownership.ts';
import { Pump } from './loop/pump.ts';
import { Scheduler } from './loop/scheduler.ts';
import { SlowWatch } from './loop/slow-watch.ts';
import type { ContextEntry, ExceptionContext, Loop } from './loop/types.ts';
import type { DatagramOptions } from './net/datagram/datagram.ts';
import { createDatagramEndpoint } from './net/datagram/datagram.ts';
import type { GetaddrinfoOptions } from './net/names/names.ts';
import { getaddrinfo, getnameinfo } from './net/names/names.ts';
import type { SendfileOptions, SendfileSource } from './net/open-file.ts';
import type { DatagramProtocol, StreamProtocol, SubprocessProtocol } from './net/protocol.ts';
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
import { addSignalHandler, hasSignalHandler, removeSignalHandler } from './process/signals.ts';
import type { SubprocessOptions } from './process/spawn.ts';
import { subprocessExec, subprocessShell } from './process/spawn.ts';
import type { SignalOptions } from './tasks/abort-signal.ts';
import { DoneCallback } from './tasks/done-callback.ts';
import { ensureFuture, isAwaitable } from './tasks/ensure-future.ts';
import type { Awaitable } from './tasks/future.ts';
import { Future } from './tasks/future.ts';
import { Scope } from './tasks/scope.ts';
import type { TaskOptions } from './tasks/task.ts';
import { Task } from './tasks/task.ts';

/** Makes the tasks of a loop: see `setTaskFactory`. */
export type TaskFactory = <T>(loop: BaseEventLoop, fn: () => PromiseLike<T>, options: TaskOptions) => Task<T>;

const TASK_OPTIONS = ['name', 'eager'];

/**
 * An event loop that a program can hold, run, stop, close and swap. Abstract: `newEventLoop()` gives a real
 * one.
 *
 * It runs on the host's own loop and never blocks it, so every library of the host keeps working; several may
 * run in one thread at once. While it runs the process stays alive, and not a moment longer.
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
  /** @internal */ readonly _owned: Ownership = new Ownership(this);
  /** @internal */ readonly _context: ContextEntry = new Scope(this, null, null);
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
    return this.#pump.start(this._scheduler);
  }

  /**
   * Runs until `aw` is done, and answers its result or rejects with its exception.
   *
   * @param aw a future of this loop, a promise, or a function, which is run as a task
   * @throws LoopError `ERR_LOOP_STOPPED` (as rejection) when the loop was stopped before; `ERR_LOOP_RUNNING`,
   *   `ERR_LOOP_CLOSED`
   */
  runUntilComplete<T>(aw: Awaitable<T> | (() => Awaitable<T>)): Promise<T> {
    this._checkOpen();
    if (this.isRunning()) throw new LoopError('ERR_LOOP_RUNNING', 'this event loop is running already');
    const future = this.#futureOf(aw);
    let waiting = true;
    const stop = new DoneCallback(future, () => {
      // Another stop() may have come first; then this is called in a later run, which is not to be ended by
      // it.
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
   * Stops the loop: every callback that is scheduled already still runs, also those that wait for the next
   * turn. Those scheduled later run when the loop is run again. Stopping a loop that does not run stops its
   * next run.
   */
  stop(): void {
    this._checkOpen();
    this._scheduler.stop();
  }

  /**
   * Clears the queues and ends everything that the loop still owns, so that the process can exit. Each such
   * leak is reported through the exception handler: a pending task, an open handle, a child that was not
   * reaped, an exception that nobody has looked at, in debug mode a lock that is held. The report has it as
   * `task` or `resource`, and where they are known `owner` (the name of the task that made it), `ageSeconds`,
   * and in debug mode `sourceTraceback`, the stack of its creation. A connection that a server has accepted
   * is named with the server, and has the server's owner and stack. Its signal handlers and its executor end
   * without a word. Idempotent and irreversible: from then on, scheduling, running and creating throw
   * `ERR_LOOP_CLOSED`.
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
   * @throws TypeError when it is no function; LoopError `ERR_LOOP_CLOSED`; in debug mode
   *   `ERR_NO_RUNNING_LOOP` when the loop runs and this is called from outside of it (use
   *   `callSoonThreadsafe`)
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
   * Calls `callback(...args)` after `delaySeconds`: never earlier, and in order of deadline, then of
   * scheduling.
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
    return this.#timer(this.time() + delaySeconds, callback as AnyCallback, args, 'callLater');
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
    if (options.eager === true) task._run();
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
   * Opens a TCP connection: looks `host` up, connects to its addresses side by side (RFC 8305), makes the
   * protocol, tells it `connectionMade`, and answers the pair.
   *
   * With `options.ssl` the connection is encrypted: the protocol is made once the handshake is done and the
   * server's certificate is verified, which must be one for `options.serverHostname`, by default the host. A
   * peer that ends the connection without ending TLS is the error `ERR_TLS_TRUNCATED`. There is no
   * `writeEof()`.
   *
   * @param protocolFactory makes the protocol, once the connection is there
   * @param host name or literal address; null for this machine, or when `options.sock` is given
   * @param port a number, its digits, or the name of a service (`'https'`); null when `options.sock` is given
   * @returns the transport and the protocol
   * @throws TypeError, RangeError, LoopError at the call, and keys and certificates that cannot be used; the
   *   system's error (`ECONNREFUSED`, `ENOTFOUND`) as rejection, an `AggregateError` with each attempt's
   *   where they differ; what OpenSSL or Node has against the peer (`CERT_HAS_EXPIRED`,
   *   `ERR_TLS_CERT_ALTNAME_INVALID`), and TimeoutError after `options.sslHandshakeTimeout` seconds
   *
   * **Cancellation** at any moment closes every attempt; nothing stays open.
   *
   * **Backends** the simulated loop has no network and no TLS: `ERR_UNSUPPORTED`.
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
    port: number | string | null = null,
    options: ConnectionOptions = {},
  ): Future<[Transport, P]> {
    this._checkOpen();
    return connect(this, protocolFactory, host, port, options);
  }

  /**
   * Opens a TCP server: each accepted connection gets a protocol of its own.
   *
   * With `options.ssl` the connections are encrypted: a protocol is made once the handshake of its connection
   * is done. A handshake that a peer fails is dropped, and said in debug mode only; `closeClients()`,
   * `abortClients()` and `waitClosed()` count those that are under way.
   *
   * @param host name, literal address or an array of them; `''` or null: all interfaces, a socket each for
   *   IPv4 and IPv6
   * @param port a number, its digits, or the name of a service; 0: a free one, the same for all sockets of
   *   the server; null when `options.sock` is given
   * @throws TypeError, RangeError, LoopError at the call, and keys and certificates that cannot be used; the
   *   system's error (`EADDRINUSE`) as rejection, and then no socket is open
   *
   * **Cancellation** leaves no socket open.
   *
   * **Backends** the simulated loop has no network and no TLS: `ERR_UNSUPPORTED`.
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
    protocolFactory: () => StreamProtocol,
    host: string | readonly string[] | null = null,
    port: number | string | null = null,
    options: ServerOptions = {},
  ): Future<Server> {
    this._checkOpen();
    return listen(this, protocolFactory, host, port, options);
  }

  /**
   * Connects to the unix socket at `path`, makes the protocol, tells it `connectionMade`, and answers the
   * pair.
   *
   * `getExtraInfo('peername')` is the path, `'sockname'` is `''`. With `ssl`, `serverHostname` must be given:
   * there is no host that the certificate could be compared with.
   *
   * @param protocolFactory makes the protocol, once the connection is there
   * @param path at most 107 bytes (103 outside of Linux); beginning with NUL: a name of Linux's abstract
   *   namespace. Null when `options.sock` is given, of which the host knows no names: `'peername'` and
   *   `'sockname'` are absent then
   * @returns the transport and the protocol
   * @throws TypeError, RangeError, LoopError at the call; the system's error (`ENOENT`, `ECONNREFUSED`,
   *   `EACCES`) as rejection
   *
   * **Cancellation** at any moment closes the attempt; nothing stays open.
   *
   * **Backends** none on Windows and on the simulated loop, no abstract names before Node 22:
   * `ERR_UNSUPPORTED`. There is no reset between unix sockets: after `abort()` the peer sees an end, or an
   * error where it had written what nobody read.
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
    protocolFactory: () => P,
    path: string | null = null,
    options: UnixConnectionOptions = {},
  ): Future<[Transport, P]> {
    this._checkOpen();
    return createUnixConnection(this, protocolFactory, path, options);
  }

  /**
   * Serves a unix socket at `path`: each accepted connection gets a protocol of its own.
   *
   * Where the file of a server is that is gone, it is replaced: whether that is so is found out by a
   * connection, which a server that lives sees come and go. The file is removed when the server is closed
   * (not by `close()` of a server from `options.sock`), from where it was made, and only if it is still the
   * same; should somebody else have replaced it, Node takes the name away from the new file for some
   * microseconds. A process that is killed leaves the file behind.
   *
   * @param protocolFactory makes a protocol, for each connection
   * @param path as in {@link createUnixConnection}; null when `options.sock` is given
   * @throws TypeError, RangeError, LoopError at the call; the system's error as rejection: `EADDRINUSE` where
   *   a server lives, or where any other file is, which is left alone; `EACCES`
   *
   * **Cancellation** leaves no socket open and no file.
   *
   * **Backends** as {@link createUnixConnection}. Of its peers Node does not know the names: `'peername'` is
   * `''` also for one that has bound its socket to a path.
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
    protocolFactory: () => StreamProtocol,
    path: string | null = null,
    options: UnixServerOptions = {},
  ): Future<Server> {
    this._checkOpen();
    return createUnixServer(this, protocolFactory, path, options);
  }

  /**
   * Serves a connection that was accepted elsewhere: makes the protocol, tells it `connectionMade`, and
   * answers the pair.
   *
   * @param protocolFactory makes the protocol
   * @param sock a connected `net.Socket`, or the descriptor of a connected TCP or unix socket. Refused at the
   *   call, it is still its owner's. From then on it is the transport's, and closed, too, when this fails or
   *   is cancelled
   * @param options `ssl`: the options or the secure context of the server's side of TLS
   * @returns the transport and the protocol
   * @throws TypeError, RangeError, LoopError at the call; the error of the TLS handshake as rejection
   *
   * **Cancellation** closes the socket, unless the signal was aborted from the beginning.
   *
   * **Backends** the simulated loop has no network: `ERR_UNSUPPORTED`.
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
    protocolFactory: () => P,
    sock: unknown,
    options: AcceptedSocketOptions = {},
  ): Future<[Transport, P]> {
    this._checkOpen();
    return connectAcceptedSocket(this, protocolFactory, sock, options);
  }

  /**
   * Goes on encrypted over a connection that is open, whatever kind of stream it is. The old transport
   * belongs to TLS from the call on: use the new one.
   *
   * `protocol` is told no `connectionMade`, but of data, flow and the end of the connection. It may be the
   * old transport's or another one, which is then told nothing any more.
   *
   * @param transport in both directions, not closing, of this loop; a `Transport` of your own works, too
   * @param ssl true (a client's only), `tls.ConnectionOptions` or `tls.TlsOptions`, or a `tls.SecureContext`
   * @param options `serverSide`; `serverHostname`, which a client has to give; `sslHandshakeTimeout` and
   *   `sslShutdownTimeout` in seconds; `received`: what `protocol` has got already and belongs to TLS;
   *   `signal` to cancel it
   * @returns the new transport
   * @throws TypeError, RangeError, LoopError `ERR_TRANSPORT_CLOSED`, InvalidStateError for a connection that
   *   TLS has already or is about to have, at the call, and keys and certificates that cannot be used; as
   *   rejection what went wrong with the handshake (`ECONNRESET`, `ERR_TLS_CERT_ALTNAME_INVALID`), and
   *   TimeoutError: then the connection is aborted, and `protocol` told so
   *
   * **Cancellation** aborts the connection: half of a handshake cannot be taken back. A signal that was
   * aborted from the beginning leaves it alone.
   *
   * **Backends** the simulated loop has no TLS: `ERR_UNSUPPORTED`.
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
   * Sends a file, or a part of it, over a transport that writes: TCP, unix socket, TLS, pipe. Done when all
   * of it was written to the transport and its buffer has room again.
   *
   * It reads a piece at a time (256 KiB) and heeds the transport's water marks, of which the protocol is told
   * as by any other write; reading goes on. Until all of it was written, writing anything else, `writeEof()`
   * and `startTls()` are an `InvalidStateError`. The file ends where it ends when that is reached: one that
   * shrinks is no error, one that grows is followed.
   *
   * @param transport one of gyre's, over which no other file is being sent
   * @param file its path, or a `FileHandle`, which stays open and whose position is not moved
   * @param options `offset` and `count` in bytes; beyond the end there is nothing to send. `fallback: false`
   *   rejects, as in asyncio, what no system call does
   * @returns the bytes that were sent
   * @throws TypeError, RangeError at the call, also for a transport of another loop, `InvalidStateError` when
   *   a file is being sent over it, or TLS is; as rejection {@link SendfileNotAvailableError} without
   *   `fallback`, the system's error (`ENOENT`, `EISDIR`), the connection's when it is lost in the middle
   *   (`ECONNRESET`), and LoopError `ERR_TRANSPORT_CLOSED` when the transport was closed
   *
   * **Cancellation** closes the file. What was written already still leaves, and the connection can be used.
   *
   * **Backends** none has a system call for it: that is {@link sockSendfile}. The simulated loop has no
   * files: `ERR_UNSUPPORTED`.
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
   * Opens a UDP socket, makes the protocol, tells it `connectionMade`, and answers the pair.
   *
   * With `localAddr` it receives there; with `remoteAddr` it is connected, and `sendto(data)` needs no
   * address; with both, both. Without either, `family` says which kind of socket it is. Hosts are looked up
   * here, once; `sendto()` takes literal addresses.
   *
   * A datagram reaches the protocol whole, with its sender's address: `[host, port]`, over IPv6 `[host, port,
   * flowinfo, scopeId]`. Empty ones are datagrams, too. What the kernel does not take at once is kept and
   * counts for `pauseWriting()`. While the loop is stopped, some 256 KiB wait for it; what comes then is
   * lost, as datagrams may be.
   *
   * @param protocolFactory makes the protocol, once the socket is open
   * @throws TypeError, RangeError, LoopError at the call; the system's error (`EADDRINUSE`, `EACCES`,
   *   `ENOTFOUND`) as rejection, and then no socket is open. What fails later is told to `errorReceived()`,
   *   and the socket stays open: `ECONNREFUSED` where nobody receives at `remoteAddr`, `EMSGSIZE` for what is
   *   too long. Without `remoteAddr` the kernel tells of no refusal
   *
   * **Cancellation** at any moment leaves no socket open, also not that of `options.sock`, unless the signal
   * was aborted from the beginning.
   *
   * **Backends** `reusePort` needs Linux and Node 22.12 or 23.1. For multicast groups, TTL and buffer sizes,
   * `options.sock` takes a `dgram.Socket`, and `getExtraInfo('rawSocket')` gives it. The simulated loop has
   * no network: `ERR_UNSUPPORTED`.
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
    protocolFactory: () => P,
    options: DatagramOptions = {},
  ): Future<[DatagramTransport, P]> {
    this._checkOpen();
    return createDatagramEndpoint(this, protocolFactory, options);
  }

  // --- names ---

  /**
   * Looks a host and a service up: the system's `getaddrinfo`. Each address comes for streams and for
   * datagrams, in the system's order; raw sockets, which CPython lists too, gyre has not. A literal address
   * and a number take no thread.
   *
   * @param host a name, a literal address (IPv6 with or without a zone, `fe80::1%eth0`); `''` or null: this
   *   machine, or every interface with `AI_PASSIVE`
   * @param port a number, its digits, or the name of a service (`'http'`); `''` or null: 0
   * @throws TypeError, RangeError, LoopError at the call; as rejection an error with Node's fields and one of
   *   the codes `ENOTFOUND` (no such name, or neither host nor port), `EAI_AGAIN` (the name server does not
   *   answer), `EAI_SERVICE` (no such service for the type), `EAI_SOCKTYPE` (no socket has this type and
   *   protocol), `EAI_ADDRFAMILY` (a literal of the other family), `EAI_BADFLAGS` (`AI_CANONNAME` without
   *   host), or what else the system says
   *
   * **Cancellation** returns at once. The thread that asks the system cannot be stopped: it goes on unheard,
   * and a process that ends by itself waits for it.
   *
   * **Backends** the simulated loop has no names: `ERR_UNSUPPORTED`. On Node, services are those of the
   * system's file (`/etc/services`; where there is none, no service has a name), and the canonical name is
   * found in the hosts file or, by the aliases, in the DNS: a name that the system knows from elsewhere is
   * `ERR_UNSUPPORTED` with `AI_CANONNAME`. A name that stands for a link-local address comes without its
   * scope.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run, SOCK_STREAM } from 'gyre';
   *
   * await run(async () => {
   *   const found = await getRunningLoop().getaddrinfo('localhost', 80, { type: SOCK_STREAM });
   *   console.log(found.map(({ sockaddr }) => sockaddr)); // [ [ '127.0.0.1', 80 ] ], with [ '::1', 80, 0, 0 ] where it is one
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
   * The names of a host's address and of a service's port: the system's `getnameinfo`. Where there is no
   * name, the number.
   *
   * @param sockaddr `[host, port]` or `[host, port, flowinfo, scopeId]` with a literal address
   * @param flags `NI_NUMERICHOST`, `NI_NUMERICSERV`: the number, and no thread is taken for it;
   *   `NI_NAMEREQD`: fails where the host has no name; `NI_DGRAM`: the service is one of UDP; `NI_NOFQDN`: a
   *   host of this machine's own domain without it
   * @throws TypeError, RangeError, LoopError at the call; as rejection an error with Node's fields:
   *   `ENOTFOUND` with `NI_NAMEREQD`, `EAI_AGAIN` where the name server does not answer
   *
   * **Cancellation** as in {@link getaddrinfo}.
   *
   * **Backends** the simulated loop has no names: `ERR_UNSUPPORTED`. On Node, services are those of the
   * system's file, and this machine's own domain is that of its name, or of its first name in the hosts file.
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
   * Reads from a pipe, FIFO, socket, terminal or character device: makes the protocol, tells it
   * `connectionMade`, then what comes, then the end.
   *
   * The pipe is the transport's from now on, and closed with it. Except `process.stdin` (also as 0): that
   * stays open, is paused, and may be read again.
   *
   * @param protocolFactory makes the protocol; its `eofReceived` cannot keep the pipe open
   * @param pipe a descriptor; a `Readable` of bytes, such as `process.stdin` or a child's output; or a
   *   `FileHandle`, which is closed at once, because the transport opens its pipe anew.
   *   `getExtraInfo('pipe')` answers it
   * @returns the transport and the protocol
   * @throws TypeError at the call for what is none, a regular file among them, and for a stream that another
   *   transport has; the system's error as rejection
   *
   * **Cancellation** closes the pipe.
   *
   * **Backends** a character device that is no terminal is read by a thread of Node's pool: one on which
   * nothing comes keeps that thread, and the process, until something does; the native loop does that only
   * with devices that cannot be polled. It refuses a descriptor that another handle has, by an
   * `InvalidStateError`, and takes a {@link Socket}, too. The simulated loop has no pipes: `ERR_UNSUPPORTED`.
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
    protocolFactory: () => P,
    pipe: unknown,
    options: SignalOptions = {},
  ): Future<[ReadTransport, P]> {
    this._checkOpen();
    return connectReadPipe(this, protocolFactory, pipe, options);
  }

  /**
   * Writes to a pipe, FIFO, socket, terminal or character device: makes the protocol, and tells it
   * `connectionMade`.
   *
   * The pipe is the transport's from now on, and closed with it; `writeEof()` is `close()`. Except
   * `process.stdout` and `process.stderr` (also as 1 and 2): they stay open, so that the process can still
   * print, and their reader sees no end before the process ends.
   *
   * When nobody reads any more the transport closes: `connectionLost(null)` if all had left, else `EPIPE`.
   *
   * @param protocolFactory makes the protocol
   * @param pipe a descriptor; a `Writable` of bytes, such as `process.stdout` or a child's input; or a
   *   `FileHandle`, which is closed at once, because the transport opens its pipe anew.
   *   `getExtraInfo('pipe')` answers it
   * @returns the transport and the protocol
   * @throws TypeError at the call for what is none, a regular file among them, and for a stream that another
   *   transport has; the system's error as rejection
   *
   * **Cancellation** closes the pipe.
   *
   * **Backends** that the reader has gone is known at once for sockets, and on Linux for descriptors of pipes
   * and FIFOs that are open for writing only; for streams of Node's over a pipe (`process.stdout`),
   * terminals, and other systems, at the next write. What a socket's peer sends is dropped. A terminal of the
   * process itself is written synchronously, by Node; as 1 or 2 on the native loop it is not. That refuses a
   * descriptor that another handle has, by an `InvalidStateError`, and takes a {@link Socket}, too. The
   * simulated loop has no pipes: `ERR_UNSUPPORTED`.
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
    protocolFactory: () => P,
    pipe: unknown,
    options: SignalOptions = {},
  ): Future<[WriteTransport, P]> {
    this._checkOpen();
    return connectWritePipe(this, protocolFactory, pipe, options);
  }

  /**
   * Starts a program as a child process, makes the protocol, tells it `connectionMade`, and answers the pair.
   * Its stdin, stdout and stderr are pipes of ours unless `options` say otherwise: `DEVNULL`, `'inherit'`, a
   * descriptor, a stream of Node's or a `FileHandle`; and for stderr `STDOUT`.
   *
   * What it writes comes by `pipeDataReceived(fd, data)`. `processExited` comes when it has ended,
   * `connectionLost` when also its pipes have, and all that came by them was delivered. A grandchild that has
   * a pipe can keep that open long after.
   *
   * Where the loop is closed, its children are killed, and named as leaks; their own children are not (see
   * `detached`).
   *
   * @param protocolFactory makes the protocol, once the child runs
   * @param program a path, or a name that is looked up in `PATH`: the child's, where `env` is given
   * @param args without the program's own name; they pass through no shell
   * @returns the transport and the protocol
   * @throws TypeError, RangeError, LoopError at the call; the system's error as rejection, with `code`,
   *   `syscall` and `path`: `ENOENT` (with `cwd` as `path`, where that is what is missing), `EACCES`,
   *   `EMFILE`, `EBADF`, `E2BIG`; then nothing is left
   *
   * **Cancellation** at any moment kills a child that runs already and closes its pipes; nothing is left.
   *
   * **Backends** the simulated loop has no subprocesses: `ERR_UNSUPPORTED`. Node's pipes are socket pairs: a
   * child cannot open `/dev/stdin` or `/dev/stdout` anew, and one that is ended by a real-time signal has the
   * return code 0.
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
    protocolFactory: () => P,
    program: string,
    args: readonly string[] = [],
    options: SubprocessOptions = {},
  ): Future<[SubprocessTransport, P]> {
    this._checkOpen();
    return subprocessExec(this, protocolFactory, program, args, options);
  }

  /**
   * As {@link subprocessExec}, for a command of the system's shell (`/bin/sh -c`). What comes from outside
   * must be quoted for it, or passed by the environment; without need of a shell, prefer `subprocessExec`.
   *
   * @param protocolFactory makes the protocol, once the shell runs
   * @param command for the shell; a program that it does not find is the return code 127
   * @returns the transport and the protocol
   * @throws as {@link subprocessExec}
   *
   * **Cancellation** kills the shell; what that had started goes on (see `detached`).
   *
   * **Backends** as {@link subprocessExec}.
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
    protocolFactory: () => P,
    command: string,
    options: SubprocessOptions = {},
  ): Future<[SubprocessTransport, P]> {
    this._checkOpen();
    return subprocessShell(this, protocolFactory, command, options);
  }

  // --- descriptors and sockets ---

  /**
   * Calls `callback(...args)` whenever there is something to read from a descriptor: a pipe, a socket, a
   * terminal, an eventfd. Also at its end and at its error, so that whoever reads learns of them.
   *
   * It is called again and again until what is there was read. It runs in a turn of the loop, as by
   * `callSoon`: in the async context of this call, and an exception is reported. One callback for each
   * descriptor: another call replaces it.
   *
   * @param fd a number, or an object with `fileno()`, such as a {@link Socket} of this loop. It stays the
   *   caller's, who stops the watch before closing it; a `Socket` does so itself
   * @returns a handle: to cancel it is `removeReader()`
   * @throws TypeError, RangeError; the system's error: `EBADF`, and `EPERM` for a regular file, which is
   *   always ready; {@link InvalidStateError} for a descriptor that a transport has, or a socket for which
   *   somebody waits with `sockRecv()` or its like; LoopError
   *
   * **Backends** the native one alone: Node tells nobody when a descriptor is ready, and the simulated loop
   * has none: `ERR_UNSUPPORTED`.
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
   * Stops what {@link addReader} has started; the callback is not called any more, also if it was about to
   * be.
   *
   * @param fd as in {@link addReader}
   * @returns whether there was one
   * @throws TypeError, RangeError; LoopError
   *
   * **Backends** as {@link addReader}.
   */
  removeReader(fd: Descriptor): boolean {
    this._checkOpen();
    return removeWatcher(this, 'reading', fd);
  }

  /**
   * As {@link addReader}, whenever something can be written to a descriptor, or nobody reads it any more.
   * Most can be written to most of the time: a callback that stays is called in every turn.
   *
   * @param fd as in {@link addReader}
   * @returns a handle: to cancel it is `removeWriter()`
   * @throws as {@link addReader}
   *
   * **Backends** as {@link addReader}.
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
   * Stops what {@link addWriter} has started; the callback is not called any more, also if it was about to
   * be.
   *
   * @param fd as in {@link addReader}
   * @returns whether there was one
   * @throws TypeError, RangeError; LoopError
   *
   * **Backends** as {@link addReader}.
   */
  removeWriter(fd: Descriptor): boolean {
    this._checkOpen();
    return removeWatcher(this, 'writing', fd);
  }

  /**
   * Receives up to `size` bytes from a socket; of a socket for datagrams one datagram, whose rest is lost
   * where it is longer.
   *
   * @param sock of this loop; only one call at a time may wait to read from it
   * @param size bytes
   * @param options `signal`
   * @returns what has come; empty: the end of the connection, or an empty datagram
   * @throws TypeError, RangeError, LoopError at the call, {@link InvalidStateError} where somebody waits
   *   already; the system's error as rejection: `ECONNRESET`, `ENOTCONN`, and `EBADF` when the socket is or
   *   gets closed
   *
   * **Cancellation** loses nothing: what was cancelled has received nothing.
   *
   * **Backends** the native one alone has sockets: elsewhere `ERR_UNSUPPORTED`.
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
   * As {@link sockRecv}, into a buffer of one's own, which must not be taken away until this is done.
   *
   * @param sock as in {@link sockRecv}
   * @param buffer what is received stands at its beginning
   * @param options `signal`
   * @returns how many bytes have come
   * @throws as {@link sockRecv}
   *
   * **Cancellation** as {@link sockRecv}: the buffer is as it was.
   *
   * **Backends** as {@link sockRecv}.
   */
  sockRecvInto(sock: Socket, buffer: Uint8Array, options: SignalOptions = {}): Future<number> {
    this._checkOpen();
    return sockRecvInto(this, sock, buffer, options);
  }

  /**
   * As {@link sockRecv}, with where it came from.
   *
   * @param sock as in {@link sockRecv}
   * @param size bytes
   * @param options `signal`
   * @returns what has come, and the sender's address; null where there is none: of a connection, of a unix
   *   socket without a name
   * @throws as {@link sockRecv}
   *
   * **Cancellation** as {@link sockRecv}.
   *
   * **Backends** as {@link sockRecv}.
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
   * As {@link sockRecvfrom}, into a buffer of one's own, which must not be taken away until this is done.
   *
   * @param sock as in {@link sockRecv}
   * @param buffer what is received stands at its beginning
   * @param options `signal`
   * @returns how many bytes have come, and the sender's address
   * @throws as {@link sockRecv}
   *
   * **Cancellation** as {@link sockRecvInto}.
   *
   * **Backends** as {@link sockRecv}.
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
   * Sends all of `data` to the peer of a socket. Done when the kernel has taken it.
   *
   * @param sock of this loop; only one call at a time may wait to write to it
   * @param data must not be changed until this is done
   * @param options `signal`
   * @throws TypeError, RangeError, LoopError at the call, {@link InvalidStateError} where somebody waits
   *   already; the system's error as rejection: `EPIPE`, `ECONNRESET`, `EMSGSIZE` of a datagram, and `EBADF`
   *   when the socket is or gets closed. How much was sent before is then not known
   *
   * **Cancellation** ends it where it is: how much was sent is not known, and a stream is best closed then.
   *
   * **Backends** as {@link sockRecv}.
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
   * Sends a file, or a part of it, over a connected socket: by the system's own call, which copies nothing
   * through this process.
   *
   * It sends a piece at a time (256 KiB). Reading a file that is not in memory yet holds the loop for as long
   * as the disk takes; `fallback` reads it by a thread. The file ends where it ends when that is reached.
   *
   * @param sock of this loop, of type `SOCK_STREAM`; only one call at a time may wait to write to it
   * @param file its path, or a `FileHandle`, which stays open and whose position is not moved
   * @param options `offset` and `count` in bytes; `fallback`: whether a file that the system cannot send so
   *   (one of /proc) is read and sent piece by piece (default) or rejected; `signal`
   * @returns the bytes that were sent
   * @throws TypeError, RangeError, LoopError at the call; as rejection {@link SendfileNotAvailableError}
   *   where the system cannot and `fallback` is false, the error of the file (`ENOENT`, `EISDIR`) and that of
   *   the socket as in {@link sockSendall}
   *
   * **Cancellation** ends it where it is: how much was sent is not known, and the socket is best closed then.
   *
   * **Backends** as {@link sockRecv}.
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
   * @param sock of this loop; only one call at a time may wait to write to it
   * @param data must not be changed until this is done
   * @param address where it goes: a literal address, `[host, port]` or `[host, port, flowinfo, scopeId]`; of
   *   a unix socket a path
   * @param options `signal`
   * @returns the bytes that were sent
   * @throws as {@link sockSendall}; as rejection also `ENOENT` and `ECONNREFUSED` where a unix socket has no
   *   receiver
   *
   * **Cancellation** what was cancelled has sent nothing.
   *
   * **Backends** as {@link sockRecv}.
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
   * @param sock of this loop
   * @param address `[host, port]` or `[host, port, flowinfo, scopeId]`; of a unix socket a path. A name is
   *   looked up, and the first of its addresses is taken; the port may be the name of a service
   * @param options `signal`
   * @throws TypeError, RangeError, LoopError at the call, {@link InvalidStateError} where somebody waits
   *   already; the system's error as rejection: `ECONNREFUSED`, `ETIMEDOUT`, `ENOTFOUND`, `EAGAIN` where the
   *   queue of a unix socket's server is full, `EBADF` when the socket is or gets closed
   *
   * **Cancellation** ends the wait; the kernel goes on to connect until the socket is closed. Another call
   * waits for that.
   *
   * **Backends** as {@link sockRecv}.
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
   * Takes a connection from a socket that listens.
   *
   * @param sock of this loop; only one call at a time may wait to read from it
   * @param options `signal`
   * @returns a new socket, the caller's to close, and the peer's address
   * @throws TypeError, RangeError, LoopError at the call, {@link InvalidStateError} where somebody waits
   *   already; the system's error as rejection: `EINVAL` when it does not listen, `EMFILE`, `EBADF` when it
   *   is or gets closed
   *
   * **Cancellation** loses no connection: what was cancelled has accepted none.
   *
   * **Backends** as {@link sockRecv}.
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
   * Calls `callback(...args)` at each signal, instead of the signal's default action. One handler for each
   * signal: another call replaces the callback. Several loops of a process may each have one, and the
   * program's own `process.on('SIGTERM', …)` beside them.
   *
   * The callback runs in a turn of the loop, as by `callSoon`: in the async context of this call, and an
   * exception is reported. While the loop is stopped, a signal waits until it runs again; `close()` removes
   * the handler. It keeps no process alive.
   *
   * @param signum name or number: `'SIGTERM'`, 15
   * @throws TypeError, RangeError for what is no signal or cannot be handled (`SIGKILL`, `SIGSTOP`);
   *   LoopError `ERR_SIGNAL_SETUP` on a worker thread, which gets no signals; `ERR_UNSUPPORTED` for real-time
   *   signals: Node has no names for them; `ERR_LOOP_CLOSED`
   *
   * **Backends** the simulated loop has no signals: `ERR_UNSUPPORTED`.
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
   * Removes the loop's handler of a signal, also for a signal that has come and was not told yet. With the
   * last handler of the process the signal has its default action again: `SIGTERM` ends the process.
   * (`SIGPIPE` and `SIGXFSZ` stay ignored, as Node has them; Node's own use of `SIGUSR1`, to start its
   * debugger, does not come back: it ends the process from then on.)
   *
   * @param signum name or number
   * @returns whether there was one
   * @throws TypeError, RangeError for what is no signal; LoopError `ERR_LOOP_CLOSED`
   *
   * **Backends** the simulated loop has no signals: `ERR_UNSUPPORTED`.
   */
  removeSignalHandler(signum: string | number): boolean {
    this._checkOpen();
    return removeSignalHandler(this, signum);
  }

  /** Whether this loop has a handler for the signal: then it is no affair of `run()`. @internal */
  _hasSignalHandler(signum: number): boolean {
    return hasSignalHandler(this, signum);
  }

  // --- executors ---

  /**
   * Runs `fn(...args)` in a thread or a process, while the loop goes on, and answers what it returns or what
   * it awaits. For what computes: code that waits for I/O belongs into a task.
   *
   * `fn` crosses by module and name (`importFunctions()`), or as its own source; then it has its arguments,
   * globals and `import()`, and nothing from around it. Arguments and results are copied, as
   * `structuredClone()` does.
   *
   * @param executor a pool, or whatever has `submit()` and `shutdown()`; null: the default one, a
   *   `ThreadPoolExecutor` that is made when it is first needed
   * @param fn the function
   * @param args its arguments, of its own types
   * @returns a future of the result
   * @throws TypeError at the call for what is no function or no executor, a function without a source of its
   *   own (native, bound), arguments that cannot be copied; {@link BrokenExecutorError} when the executor was
   *   shut down; LoopError. As rejection: what the function throws, with class, `code`, `cause` and stack;
   *   {@link BrokenExecutorError} when its worker died
   *
   * **Cancellation** ends the future at once. A function that has not begun is never run. One that runs is
   * told (`currentJob().cancelled()`), and is ended with its worker after the pool's `gracePeriod`.
   *
   * **Backends** the simulated loop has no threads: `ERR_UNSUPPORTED`.
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
   * Lets `runInExecutor(null, …)` and `toThread()` use `executor`. It is the loop's from then on:
   * `shutdownDefaultExecutor()` shuts it down, and so does closing the loop, without waiting. A default one
   * that was made before ends when its functions have.
   *
   * @param executor a pool, or whatever has `submit()` and `shutdown()`
   * @throws TypeError for anything else; LoopError
   *
   * **Backends** the simulated loop has no threads: `ERR_UNSUPPORTED`.
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
   * Shuts the default executor down, and waits until its functions are done and its workers gone. From then
   * on `runInExecutor(null, …)` throws a {@link BrokenExecutorError}, also if another default is set. `run()`
   * calls this at its end.
   *
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
  shutdownDefaultExecutor(): Future<void> {
    this._checkOpen();
    return shutdownDefaultExecutor(this);
  }

  /**
   * A port by which another thread calls `handlers` on this loop: `callSoonThreadsafe` from a worker thread.
   * Hand the port over (`workerData` and `transferList`, `postMessage`, or the `transfer` of a pool); there
   * `connectRemote<typeof handlers>(port)` has `callSoonThreadsafe(name, ...args)`.
   *
   * Each call is a `callSoon` of this loop, in order, in the async context of this call; it wakes a loop that
   * is idle, and one that is stopped makes it when it runs again. The port ends with the loop, and keeps
   * nothing alive.
   *
   * @param handlers functions by the names under which they can be called; or an instance of a class, with
   *   its methods and those that it inherits. They are called as methods of it
   * @returns a `MessagePort`, for one thread
   * @throws TypeError for an object with anything but functions, for an instance without methods; LoopError
   *
   * **Backends** the simulated loop has no threads: `ERR_UNSUPPORTED`.
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
   * Hands every exception that nobody else could catch to `handler(loop, context)`; null restores the
   * default, which prints.
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

  /**
   * Reports `context` to the exception handler. Never throws. Works on a closed loop, too: leaks show up
   * late.
   */
  callExceptionHandler(context: ExceptionContext): void {
    handleException(this, this.#exceptionHandler, (c) => this.defaultExceptionHandler(c), context);
  }

  /**
   * Debug mode, also by `GYRE_DEBUG=1`: slow callbacks are reported with where they were scheduled, calls
   * from the wrong place throw, and reports of leaks and of lost exceptions say where their object was
   * created.
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
  task._run();
}
