/**
 * One worker, which is a thread or a process. Only this file uses the pool library; it uses a pool of one
 * worker.
 *
 * The library starts workers, does the handshake, numbers requests and answers, and asks an idle worker to
 * exit. gyre has its own queue, because the library's queue stops when a worker dies while jobs wait, ends
 * jobs that were not cancelled, and keeps the process alive. gyre also terminates workers itself, because the
 * library asks a busy process to die with a signal that can be ignored.
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

/** The host's own object, with the members that the library adds. */
type Host = (Worker | ChildProcess) & { killed: boolean; send(message: unknown): void };

/** Seconds for which an idle worker may run the exit handlers of the modules that it has loaded. */
const EXIT_SECONDS = 1;

export interface PoolWorkerEvents {
  onMessage(message: JobMessage): void;
  /** The job has ended. The worker can run another job. */
  onFree(): void;
  /** The worker has exited. The last event, exactly once. */
  onExit(error: BrokenExecutorError): void;
}

export class PoolWorker {
  readonly #kind: WorkerKind;
  readonly #events: PoolWorkerEvents;
  /** null before the first job. */
  #pool: Pool | null = null;
  #host: Host | null = null;
  #gone: boolean = false;
  /** The id of the running job. */
  #id: number = 0;
  /** The name of the job's function, for messages. */
  #name: string = '';
  #warned: boolean = false;
  /** The cause of its death, if more is known than an exit code. */
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
      // The host could not start a worker, or could not read the library, which loads its parts on first use.
      this.#cause ??= error;
      this.#exited('could not be started');
      return;
    }
    if (this.#host === null) this.#take();
  }

  /** Tells the worker that the caller has cancelled the job. */
  cancel(id: number): void {
    // Send it like a request of the library, but not through the library's queue, which waits for the job.
    // The library ignores the answer, because no request has the number 0.
    if (!this.#gone) this.#host?.send({ id: 0, method: 'cancel', params: [id] });
  }

  /** Decides whether this worker keeps the process alive. */
  keepAlive(on: boolean): void {
    const host = this.#host;
    if (host === null || this.#gone) return;
    setAlive(host, on);
    if ('channel' in host && host.channel) setAlive(host.channel, on);
  }

  /** Makes an idle worker exit. */
  stop(): void {
    if (this.#gone) return;
    this.#pool?.terminate().then(ignore, ignore);
    afterSeconds(EXIT_SECONDS, () => this.kill());
  }

  /** Terminates the worker at once, whatever it does. */
  kill(): void {
    const host = this.#host;
    if (host === null || this.#gone) return;
    if ('terminate' in host) void host.terminate();
    else host.kill('SIGKILL');
  }

  /** The library makes the host's object for the first job, and has no public access to it. */
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
    // Don't call this earlier: the first listener makes the object keep the process alive.
    this.keepAlive(false);
    // Run before the library's own listener. Otherwise the library asks an exited worker to exit, and keeps
    // the process alive meanwhile.
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
      // When the child runs, this event means only that a message was not sent. The child's exit tells more.
      if (child.pid !== undefined) return;
      this.#cause ??= error;
      this.#exited('could not be started');
    });
    child.on('exit', (code, signal) => {
      const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
      // The child's last messages may not have arrived yet.
      if (child.connected) child.once('disconnect', () => this.#exited(how));
      else this.#exited(how);
    });
  }

  #message(message: JobMessage): void {
    if (message.kind === 'crash') this.#cause ??= restoreError(message.error);
    else this.#events.onMessage(message);
  }

  /** Drops a foreign message. The library would throw an exception for it in this process. */
  #foreign(message: unknown, handle: unknown): void {
    if (!this.#warned) warnOfForeignMessage('a pool', message);
    this.#warned = true;
    // A process may have sent a socket or a server with it, which no other code would close.
    const sent = handle as { destroy?(): void; close?(): void } | undefined;
    if (sent?.destroy !== undefined) sent.destroy();
    else sent?.close?.();
  }

  /**
   * The library reports the death of the worker, which `exit` reports better, or an unexpected error. In the
   * second case the worker is unusable.
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

/**
 * Kills the children when this process exits, because a child that computes does not notice the exit of its
 * parent.
 */
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

/** On Bun, the channel of a process has neither method. */
function setAlive(handle: { ref?(): void; unref?(): void }, on: boolean): void {
  if (on) handle.ref?.();
  else handle.unref?.();
}

function ignore(): void {}
