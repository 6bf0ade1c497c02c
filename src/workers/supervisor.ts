/** Starts workers, keeps them running, restarts them one by one, and ends them. */
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidStateError, LoopError } from '../base/errors.ts';
import { showInOneLine } from '../base/one-line.ts';
import { checkOptions, checkSecondsOrNull, invalidArgType, outOfRange } from '../base/validate.ts';
import type { BaseEventLoop } from '../event-loop.ts';
import type { LoopMetrics } from '../inspect/metrics.ts';
import type { Snapshot } from '../inspect/snapshot-types.ts';
import { runningLoop } from '../loop/context.ts';
import type { Resource } from '../loop/ownership.ts';
import { cancelOnAbort } from '../tasks/abort-signal.ts';
import { Future } from '../tasks/future.ts';
import { gather } from '../tasks/gather.ts';
import { operation } from '../tasks/operation.ts';
import { aborted } from '../tasks/settled.ts';
import { shield } from '../tasks/shield.ts';
import { sleep } from '../tasks/sleep.ts';
import { waitFor } from '../tasks/wait-for.ts';
import type { StartMessage, WorkerAnswer } from './messages.ts';
import type { ServeWorkersOptions, Settings, WorkerEvent } from './options.ts';
import { settingsOf } from './options.ts';
import type { WorkerPort } from './port.ts';
import { openPort } from './port.ts';
import { watchFiles } from './watch.ts';
import type { WorkerState } from './worker-run.ts';
import { WorkerRun } from './worker-run.ts';

/** A worker that lived this long was no part of a crash loop. */
const STABLE_SECONDS = 10;
const LONGEST_BACKOFF_SECONDS = 30;
/** A worker that computes cannot answer. */
const ANSWER_SECONDS = 1;

/** A worker, as its supervisor knows it. */
export interface WorkerFacts {
  /** The number, from 1. */
  readonly worker: number;
  /** How often a worker of this number was started. */
  readonly generation: number;
  readonly state: WorkerState;
  /** The thread; null: it is a process. */
  readonly threadId: number | null;
  /** The process in which it runs. */
  readonly pid: number | null;
}

/** The figures of a worker. */
export interface WorkerMetrics extends WorkerFacts {
  /** The open connections of its servers. null: it did not answer within a second, like the rest. */
  readonly connections: number | null;
  /** Bytes of its heap. */
  readonly heapUsed: number | null;
  /** Bytes of its process. Threads share a process. */
  readonly rss: number | null;
  readonly loop: LoopMetrics | null;
}

/** A worker and the snapshot of its loops: see `npx gyre ps`. */
export interface WorkerSnapshot extends WorkerFacts {
  /** null: it did not answer within a second. */
  readonly snapshot: Snapshot | null;
}

/** The options of `supervisor.close()`. */
export interface CloseWorkersOptions {
  /** Seconds in which the connections may end. Null: no limit. Default: that of `serveWorkers()`. */
  deadline?: number | null;
}

/** A number of a worker, and the worker that has it now. */
interface Slot {
  readonly index: number;
  generation: number;
  run: WorkerRun;
}

/**
 * The workers of `serveWorkers()`.
 *
 * It starts a worker again that died, after a pause that doubles with each further death. A worker that dies
 * again and again ends all of them.
 */
export class WorkerSupervisor implements AsyncDisposable, Resource {
  readonly #loop: BaseEventLoop;
  readonly #module: string;
  readonly #settings: Settings;
  readonly #port: WorkerPort;
  readonly #slots: Slot[] = [];
  /** All workers that have not ended, also those that are replaced. */
  readonly #runs: Set<WorkerRun> = new Set();
  /** Done when the last worker has ended. Fails after a crash loop. */
  readonly #closed: Future<void>;
  #closing: boolean = false;
  #failure: LoopError | null = null;
  #restart: Future<void> | null = null;
  /** The restart that follows the present one. */
  #nextRestart: Future<void> | null = null;
  #unwatch: () => void = () => {};

  /** Use `serveWorkers()`. @internal */
  constructor(loop: BaseEventLoop, module: string, settings: Settings, port: WorkerPort) {
    this.#loop = loop;
    this.#module = module;
    this.#settings = settings;
    this.#port = port;
    this.#closed = new Future(loop);
    this.#closed._ignoreException();
    loop._owned.resources.add(this);
  }

  /** Starts all workers, and waits until they are ready. @internal */
  async _start(): Promise<void> {
    try {
      for (let index = 0; index < this.#settings.workers; index++) {
        const slot: Slot = { index, generation: 0, run: null as unknown as WorkerRun };
        slot.run = this.#begin(slot);
        this.#slots.push(slot);
      }
      await gather(...this.#slots.map(({ run }) => shield(run.ready)));
    } catch (error) {
      await this.#background('close', () => this.#end(0));
      throw error;
    }
    for (const slot of this.#slots) {
      this.#loop.createTask(() => this.#keep(slot), { name: `supervisor of worker ${slot.index + 1}` });
    }
    const { watch } = this.#settings;
    if (watch !== false)
      this.#unwatch = watchFiles(this.#loop, this.#module, watch, (file) => this.#changed(file));
  }

  /** The port that the workers serve. */
  get port(): number {
    return this.#port.port;
  }

  /** Whether every worker serves. A worker that died is missing until its replacement is ready. */
  get ready(): boolean {
    return !this.#closing && this.#slots.every(({ run }) => run.state === 'ready');
  }

  /** The workers, by their number. */
  get workers(): WorkerFacts[] {
    return this.#slots.map(({ run }) => factsOf(run));
  }

  /**
   * Replaces the workers one by one, so that they load their module anew: the next worker starts, and when it
   * is ready, the previous one of its number finishes its connections and ends. No connection is refused.
   *
   * A call during a restart asks for one more, which begins after the present one. Further calls wait for the
   * same.
   *
   * If a new worker fails before it is ready, the previous one stays, and the restart ends.
   *
   * @throws LoopError `ERR_WORKER_FAILED` (as a rejection): a new worker failed; {@link InvalidStateError} if
   *   the supervisor is closing
   *
   * **Cancellation** ends the wait only.
   */
  restart(): Future<void> {
    if (this.#closing) throw new InvalidStateError('restart(): the workers are closing');
    if (this.#restart === null) {
      this.#restart = this.#background('restart', () => this.#restartAll());
      return shield(this.#restart);
    }
    this.#nextRestart ??= this.#background('restart', async () => {
      await this.#restart?.catch(() => {});
      this.#restart = this.#nextRestart;
      this.#nextRestart = null;
      await this.#restartAll();
    });
    return shield(this.#nextRestart);
  }

  /**
   * Ends all workers: they stop accepting, finish their connections, cancel their programs at the deadline,
   * and are killed if that does not help within the time `grace`.
   *
   * Another call waits for the same end. It may bring the deadline forward.
   *
   * @param options `deadline` in seconds. Null: no limit. Default: that of `serveWorkers()`
   *
   * **Cancellation** ends the wait only.
   */
  close(options: CloseWorkersOptions = {}): Future<void> {
    checkOptions('options', options, ['deadline']);
    const { deadline = this.#settings.deadline } = options;
    checkSecondsOrNull('options.deadline', deadline);
    if (deadline !== null && deadline < 0)
      throw outOfRange('options.deadline', deadline, 'at least 0 seconds');
    return shield(this.#background('close', () => this.#end(deadline)));
  }

  /**
   * Serves until a signal comes, as the program `gyre serve` does: `SIGTERM` and `SIGINT` close the workers,
   * and a second one aborts their connections at once. `SIGHUP` restarts the workers.
   *
   * @throws LoopError `ERR_WORKER_FAILED` after a crash loop, with the first error as its `cause`
   *
   * **Cancellation** closes the workers.
   */
  serveForever(): Future<void> {
    return operation(this.#loop, 'serveForever', async () => {
      const forget = this.#listen();
      try {
        await shield(this.#closed);
      } finally {
        await this.close();
        for (const signal of forget) this.#loop.removeSignalHandler(signal);
      }
    });
  }

  /** Returns the figures of all workers. */
  metrics(): Future<WorkerMetrics[]> {
    return this.#ask('metrics', (facts, answer) => ({
      ...facts,
      connections: answer?.connections ?? null,
      heapUsed: answer?.heapUsed ?? null,
      rss: answer?.rss ?? null,
      loop: answer?.metrics ?? null,
    }));
  }

  /** Returns the loops, tasks, connections and timers of all workers, as `npx gyre ps` shows them. */
  ps(): Future<WorkerSnapshot[]> {
    return this.#ask('ps', (facts, answer) => ({ ...facts, snapshot: answer?.snapshot ?? null }));
  }

  /** Calls {@link close}: `await using workers = await serveWorkers(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  _facts(): string {
    return `port ${this.port}, ${this.#closing ? 'closing, ' : ''}${this.#runs.size} workers`;
  }

  /** @internal */
  _describe(): string {
    return `${this.#runs.size} workers still served port ${this.port}`;
  }

  /** @internal */
  _forceClose(): void {
    this.#closing = true;
    this.#unwatch();
    for (const run of this.#runs) run.kill();
    this.#port.close();
  }

  // --- the life of workers ---

  #begin(slot: Slot): WorkerRun {
    const run = new WorkerRun(this.#loop, this.#startMessage(slot), this.#settings, this.#tellOf);
    this.#runs.add(run);
    run.ended._onSettled = () => this.#runs.delete(run);
    return run;
  }

  #startMessage(slot: Slot): StartMessage {
    const { workers, kind, backlog } = this.#settings;
    slot.generation++;
    return {
      type: 'start',
      module: this.#module,
      worker: slot.index + 1,
      generation: slot.generation,
      workers,
      kind,
      native: this.#loop._backend.name === 'uv',
      port: this.port,
      listenOn: this.#port.listenOn(slot.index),
      backlog,
    };
  }

  /** Starts the workers of a slot again, as long as the supervisor is not closing. */
  async #keep(slot: Slot): Promise<void> {
    let deaths = 0;
    let first: LoopError | null = null;
    for (;;) {
      const { run } = slot;
      const error = await shield(run.ended);
      if (this.#closing) return;
      // A restart has put another worker in its place.
      if (slot.run !== run) continue;
      if (this.#loop.time() - run.startedAt >= STABLE_SECONDS) deaths = 0;
      if (deaths === 0) first = error;
      deaths++;
      if (deaths > this.#settings.maxRestarts) {
        this.#crashed(slot, deaths, first as LoopError);
        return;
      }
      const pause = Math.min(this.#settings.backoff * 2 ** (deaths - 1), LONGEST_BACKOFF_SECONDS);
      this.#tellOf('died', run, `starts again in ${pause} s`, error);
      await sleep(pause);
      if (this.#closing) return;
      if (slot.run === run) slot.run = this.#begin(slot);
    }
  }

  #crashed({ run }: Slot, deaths: number, first: LoopError): void {
    this.#tellOf('died', run, `died ${deaths} times in a row: a crash loop`, first);
    this.#failure = new LoopError(
      'ERR_WORKER_FAILED',
      `worker ${run.worker} died ${deaths} times in a row, first because: ${first.message}`,
      { cause: first.cause ?? first },
    );
    this.#background('close', () => this.#end(this.#settings.deadline));
  }

  async #restartAll(): Promise<void> {
    try {
      if (this.#closing) throw new InvalidStateError('restart(): the workers are closing');
      this.#tell('restarting', null, '', null);
      for (const slot of this.#slots) await this.#replace(slot);
      this.#tell('restarted', null, '', null);
    } catch (error) {
      this.#tell('restart failed', null, '', error);
      throw error;
    } finally {
      if (this.#nextRestart === null) this.#restart = null;
    }
  }

  async #replace(slot: Slot): Promise<void> {
    const next = this.#begin(slot);
    await next.ready;
    const previous = slot.run;
    slot.run = next;
    await previous.drain(this.#settings.deadline);
    if (this.#closing) throw new InvalidStateError('restart(): the workers are closing');
  }

  async #end(deadline: number | null): Promise<void> {
    if (!this.#closing) this.#tell('closing', null, '', null);
    this.#closing = true;
    this.#unwatch();
    const drains = [...this.#runs]
      .filter(({ state }) => state !== 'starting')
      .map((run) => this.#background('drain', () => run.drain(deadline)));
    await this.#abandon();
    await gather(...drains);
    this.#loop._owned.resources.delete(this);
    if (this.#closed.done()) return;
    if (this.#failure === null) this.#closed.setResult();
    else this.#closed.setException(this.#failure);
  }

  /**
   * Kills the workers that are not ready, and gives the port up. A worker that starts may still take over the
   * supervisor's socket by its number, so it must end before the number becomes free.
   */
  async #abandon(): Promise<void> {
    const starting = [...this.#runs].filter(({ state }) => state === 'starting');
    for (const run of starting) run.kill();
    await gather(...starting.map(({ ended }) => shield(ended)));
    this.#port.close();
  }

  // --- signals, files, figures ---

  #listen(): string[] {
    const close = (): void => {
      const deadline = this.#closing ? 0 : this.#settings.deadline;
      this.#background('close', () => this.#end(deadline));
    };
    this.#loop.addSignalHandler('SIGTERM', close);
    this.#loop.addSignalHandler('SIGINT', close);
    this.#loop.addSignalHandler('SIGHUP', () => this.#restartUnasked());
    return ['SIGTERM', 'SIGINT', 'SIGHUP'];
  }

  #changed(file: string): void {
    this.#tell('changed', null, file, null);
    this.#restartUnasked();
  }

  /** Restarts for a signal or a changed file. `onEvent` gets the error. */
  #restartUnasked(): void {
    if (!this.#closing) this.restart()._ignoreException();
  }

  #ask<T>(name: string, resultOf: (facts: WorkerFacts, answer: WorkerAnswer | null) => T): Future<T[]> {
    const ask = async ({ run }: Slot): Promise<T> => {
      const answer = await waitFor(run.ask(), ANSWER_SECONDS).catch((error) => {
        if ((error as Error).name !== 'TimeoutError') throw error;
        return null;
      });
      return resultOf(factsOf(run), answer);
    };
    return operation(this.#loop, name, () =>
      gather(...this.#slots.map((slot) => operation(this.#loop, name, () => ask(slot)))),
    );
  }

  /** Begins an operation that goes on if its caller is cancelled. */
  #background(name: string, fn: () => Promise<void>): Future<void> {
    const future = this.#loop.createTask(fn, { name: `${name} of the workers` });
    future._ignoreException();
    return future;
  }

  readonly #tellOf = (
    type: WorkerEvent['type'],
    run: WorkerRun,
    detail: string = '',
    error: unknown = null,
  ) => this.#tell(type, run, detail, error);

  #tell(type: WorkerEvent['type'], run: WorkerRun | null, detail: string, error: unknown): void {
    const { worker = null, generation = null } = run ?? {};
    this.#loop.callSoon(this.#settings.onEvent, { type, worker, generation, detail, error });
  }
}

showInOneLine(WorkerSupervisor);

function factsOf({ worker, generation, state, link }: WorkerRun): WorkerFacts {
  return { worker, generation, state, threadId: link.threadId, pid: link.pid };
}

/**
 * Runs a module in several workers that serve one port, each with a loop of its own, and keeps them running.
 *
 * The module exports `main(context)`. It is an ordinary program of gyre, and `context` opens its server:
 * {@link WorkerContext}. A worker that dies is started again, and loses its own connections only.
 *
 * @param module the URL or the absolute path of the module: `new URL('./app.ts', import.meta.url)`
 * @param options the number of workers, threads or processes, the address, the deadlines: see
 *   {@link ServeWorkersOptions}. `signal` cancels the start
 * @returns the supervisor, once all workers are ready
 * @throws At the call: TypeError, RangeError, LoopError `ERR_NO_RUNNING_LOOP`. As a rejection: the system's
 *   error (`EADDRINUSE`, `EMFILE`); LoopError `ERR_WORKER_FAILED` if a worker fails before it is ready, with
 *   its error as `cause`; `ERR_UNSUPPORTED`
 *
 * **Cancellation** kills the workers that have started.
 *
 * **Backends** The workers have the backend of the calling loop. On the native one, the supervisor holds a
 * listening socket for each worker, so a restart loses no connection. On the portable one, processes get
 * their connections from the supervisor (`node:cluster`), and threads have sockets of their own, which needs
 * Linux and Node 22.12 or 23.1: the connections that the system has queued for a thread are reset when that
 * thread ends, unless `net.ipv4.tcp_migrate_req` is 1. The simulated backend has no workers.
 *
 * @example
 * ```ts ignore
 * import { run } from 'gyre';
 * import { serveWorkers } from 'gyre/workers';
 *
 * await run(async () => {
 *   const module = new URL('./app.ts', import.meta.url);
 *   await using workers = await serveWorkers(module, { workers: 4, port: 8080 });
 *   await workers.serveForever();
 * });
 * ```
 */
export function serveWorkers(
  module: URL | string,
  options: ServeWorkersOptions = {},
): Future<WorkerSupervisor> {
  const settings = settingsOf(options);
  const url = moduleUrl(module);
  const loop = runningLoop() as BaseEventLoop;
  if (loop._backend.name === 'sim') {
    throw new LoopError('ERR_UNSUPPORTED', 'serveWorkers(): the simulated backend has no workers');
  }
  if (options.signal?.aborted) return aborted(loop, options.signal);
  return cancelOnAbort(
    operation(loop, 'serveWorkers', async () => {
      const port = await openPort(loop, settings);
      const supervisor = new WorkerSupervisor(loop, url, settings, port);
      await supervisor._start();
      return supervisor;
    }),
    options.signal,
  );
}

function moduleUrl(module: unknown): string {
  if (module instanceof URL) return module.href;
  if (typeof module === 'string' && module.startsWith('file:')) return module;
  if (typeof module === 'string' && isAbsolute(module)) return pathToFileURL(module).href;
  throw invalidArgType('module', module, "a URL or an absolute path: new URL('./app.ts', import.meta.url)");
}
