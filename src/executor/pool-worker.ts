/**
 * One worker, thread or process: the only file that knows the pool library, of which it uses a pool of one.
 *
 * The library starts workers, does the handshake, numbers requests and answers, and asks an idle worker to
 * exit. The queue is ours: the library's stands still when a worker dies while jobs are waiting, ends jobs
 * that were not asked to end, and holds the process. So are the ends: it asks a busy process to die by a
 * signal that can be ignored.
 */
import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:worker_threads';
import type { Pool } from 'workerpool';
import { pool, TerminateError } from 'workerpool';
import { BrokenExecutorError } from '../base/errors.ts';
import { afterSeconds } from './after-seconds.ts';
import { restoreError } from './error-copy.ts';
import type { JobMessage, JobRequest } from './job-messages.ts';
import { isOfWorker, messageOfJob, warnOfForeignMessage } from './worker-channel.ts';
import { processEntry, threadEntry } from './worker-entry.ts';

export type WorkerKind = 'thread' | 'process';

/** The host's own object, with what the library adds to it. */
type Host = (Worker | ChildProcess) & { killed: boolean; send(message: unknown): void };

/**
 * Seconds that an idle worker may take to exit by itself, with the exit handlers of the modules that it has
 * loaded.
 */
const EXIT_SECONDS = 1;

export interface PoolWorkerEvents {
  onMessage(message: JobMessage): void;
  /** The job is over; the worker can have another. */
  onFree(): void;
  /** It is gone. Last, exactly once. */
  onExit(error: BrokenExecutorError): void;
}

export class PoolWorker {
  readonly #kind: WorkerKind;
  readonly #events: PoolWorkerEvents;
  /** Null before the first job. */
  #pool: Pool | null = null;
  #host: Host | null = null;
  #gone: boolean = false;
  /** The job that it runs. */
  #id: number = 0;
  /** For messages. */
  #name: string = '';
  #warned: boolean = false;
  /** What it dies of, where more than an exit code is known. */
  #cause: unknown = undefined;

  constructor(kind: WorkerKind, events: PoolWorkerEvents) {
    this.#kind = kind;
    this.#events = events;
  }

  run(request: JobRequest): void {
    this.#id = request.id;
    this.#name = request.fn.name;
    const transfer = request.args instanceof Uint8Array ? [] : [request.args];
    try {
      this.#pool ??= poolOfOne(this.#kind);
      const answer = this.#pool.exec('run', [request], { transfer });
      answer.then(
        () => this.#events.onFree(),
        (error) => this.#failed(error),
      );
    } catch (error) {
      // The host could not start a worker, or not even read the library, which loads its parts when they are
      // first used.
      this.#cause ??= error;
      this.#exited('could not be started');
      return;
    }
    if (this.#host === null) this.#take();
  }

  /** Tells the worker that nobody wants the job's result any more. */
  cancel(id: number): void {
    // As a request of the library's, but past its queue, which waits for the job. Its answer is for nobody:
    // there is no request 0.
    if (!this.#gone) this.#host?.send({ id: 0, method: 'cancel', params: [id] });
  }

  /** Whether it alone keeps this process alive. */
  keepAlive(on: boolean): void {
    const host = this.#host;
    if (host === null || this.#gone) return;
    setAlive(host, on);
    if ('channel' in host && host.channel) setAlive(host.channel, on);
  }

  /** An idle worker exits. */
  stop(): void {
    if (this.#gone) return;
    this.#pool?.terminate().then(ignore, ignore);
    afterSeconds(EXIT_SECONDS, () => this.kill());
  }

  /** Ends it at once, whatever it does. */
  kill(): void {
    const host = this.#host;
    if (host === null || this.#gone) return;
    if ('terminate' in host) void host.terminate();
    else host.kill('SIGKILL');
  }

  /** The library makes the host's object at the first job, and has no public way to it. */
  #take(): void {
    const workers = (this.#pool as unknown as { workers: { worker: Host }[] }).workers;
    const host = (workers[0] as { worker: Host }).worker;
    this.#host = host;
    const library = host.listeners('message') as ((message: unknown) => void)[];
    host.removeAllListeners('message');
    host.on('message', (message: unknown, handle: unknown) => {
      const ofJob = messageOfJob(message, this.#id);
      if (ofJob !== null) this.#message(ofJob);
      else if (isOfWorker(message)) for (const listener of library) listener.call(host, message);
      else this.#foreign(message, handle);
    });
    // Behind the first listener, which makes it hold the process.
    this.keepAlive(false);
    // Before the library's own listener, which else asks what is gone already to exit, and holds the process
    // meanwhile.
    host.prependListener('exit', () => {
      host.killed = true;
    });
    if ('terminate' in host) this.#watchThread(host);
    else this.#watchProcess(host);
  }

  #watchThread(thread: Worker): void {
    thread.on('error', (error) => {
      this.#cause ??= error;
    });
    thread.on('messageerror', (error) => {
      this.#cause ??= error;
      this.kill();
    });
    thread.on('exit', (code) => this.#exited(`exited with code ${code}`));
  }

  #watchProcess(child: ChildProcess): void {
    processes.add(child);
    child.on('error', (error) => {
      // Once it runs, this only says that a message could not be sent to it; its exit says more.
      if (child.pid !== undefined) return;
      this.#cause ??= error;
      this.#exited('could not be started');
    });
    child.on('exit', (code, signal) => {
      const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
      // What it said last may still be on the way.
      if (child.connected) child.once('disconnect', () => this.#exited(how));
      else this.#exited(how);
    });
  }

  #message(message: JobMessage): void {
    if (message.kind === 'crash') this.#cause ??= restoreError(message.error);
    else this.#events.onMessage(message);
  }

  /** The library would fail by it, in the middle of this process. */
  #foreign(message: unknown, handle: unknown): void {
    if (!this.#warned) warnOfForeignMessage('a pool', message);
    this.#warned = true;
    // A process may have sent a socket or a server along, which nobody here would close.
    const sent = handle as { destroy?(): void; close?(): void } | undefined;
    if (sent?.destroy !== undefined) sent.destroy();
    else sent?.close?.();
  }

  /**
   * The library's view of a death, which `exit` tells better; or something that should not be, and then the
   * worker is of no use.
   */
  #failed(error: unknown): void {
    this.#cause ??= error instanceof TerminateError ? error.cause : error;
    this.kill();
  }

  #exited(how: string): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#host !== null && !('terminate' in this.#host)) processes.remove(this.#host);
    const options = this.#cause === undefined ? {} : { cause: this.#cause };
    this.#events.onExit(
      new BrokenExecutorError(`the worker ${this.#kind} that ran ${this.#name} ${how}`, options),
    );
  }
}

function poolOfOne(kind: WorkerKind): Pool {
  const entry = kind === 'thread' ? threadEntry() : processEntry();
  return pool(entry.script, {
    workerType: kind,
    maxWorkers: 1,
    workerTerminateTimeout: EXIT_SECONDS * 1000,
    ...(kind === 'thread' ? { workerThreadOpts: entry.options } : { forkOpts: entry.options }),
  });
}

/** A child that computes does not see that we are gone, so it is killed when we go. */
const processes = {
  alive: new Set<ChildProcess>(),
  killAll: (): void => {
    for (const child of processes.alive) child.kill('SIGKILL');
  },
  add(child: ChildProcess): void {
    if (this.alive.size === 0) process.on('exit', this.killAll);
    this.alive.add(child);
  },
  remove(child: ChildProcess): void {
    this.alive.delete(child);
    if (this.alive.size === 0) process.off('exit', this.killAll);
  },
};

/** The channel of a process has neither on Bun. */
function setAlive(what: { ref?(): void; unref?(): void }, on: boolean): void {
  if (on) what.ref?.();
  else what.unref?.();
}

function ignore(): void {}
