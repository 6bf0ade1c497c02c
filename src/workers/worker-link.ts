/** Starts a worker as a thread or as a process, and exchanges messages with it. */
import type { ChildProcess, Serializable } from 'node:child_process';
import { fork } from 'node:child_process';
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LoopError } from '../base/errors.ts';
import { processes } from '../executor/process-link.ts';
import { inheritedOptions, threadProgram } from '../executor/worker-entry.ts';
import { fromSource, isStandalone, packageFile } from '../platform/package-files.ts';
import type { Envelope, FromWorker, StartMessage, ToWorker } from './messages.ts';
import { openEnvelope } from './messages.ts';

/** Called outside of the loop. */
export interface WorkerLinkEvents {
  onMessage(message: FromWorker): void;
  /** The worker could not be started, or an exception was not caught. The exit follows. */
  onFailure(error: unknown): void;
  /** Called once. @param how `exited with code 1`, `was killed by SIGKILL` */
  onExit(how: string): void;
}

export interface WorkerLink {
  /** The thread's id; null: it is a process. */
  readonly threadId: number | null;
  /** The process of the worker; null: it could not be started. */
  readonly pid: number | null;
  post(message: ToWorker): void;
  /** Ends the worker at once. */
  kill(): void;
}

/** @throws LoopError `ERR_UNSUPPORTED` if this program has no file of gyre */
export function startWorker(start: StartMessage, events: WorkerLinkEvents): WorkerLink {
  const program = workerFile();
  return start.kind === 'thread' ? startThread(program, events) : startProcess(program, start, events);
}

function workerFile(): URL {
  const file = packageFile(fromSource ? 'src/workers/worker-main.ts' : 'dist/gyre-serve.js');
  if (file !== null && !isStandalone()) return file;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    'serveWorkers() needs the files of the package gyre: leave gyre out of the bundle or the executable',
  );
}

function startThread(program: URL, events: WorkerLinkEvents): WorkerLink {
  const { script, options } = threadProgram(program);
  const thread = new Worker(script, options);
  thread.on('message', (value: unknown) => receive(value, events));
  thread.on('error', (error) => events.onFailure(error));
  thread.on('exit', (code) => events.onExit(`exited with code ${code}`));
  return {
    threadId: thread.threadId,
    pid: process.pid,
    post: (message) => thread.postMessage({ gyreWorkers: message } satisfies Envelope<ToWorker>),
    kill: () => void thread.terminate(),
  };
}

function startProcess(program: URL, start: StartMessage, events: WorkerLinkEvents): WorkerLink {
  const child = forkWith(fileURLToPath(program), start);
  processes.add(child);
  let ended = false;
  const exit = (how: string): void => {
    if (ended) return;
    ended = true;
    processes.remove(child);
    events.onExit(how);
  };
  child.on('message', (value) => receive(value, events));
  child.on('error', (error) => {
    // When the child runs, this event means only that a message was not sent. The child's exit tells more.
    if (child.pid !== undefined) return;
    events.onFailure(error);
    exit('could not be started');
  });
  child.on('exit', (code, signal) => {
    const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
    // The child's last messages may not have arrived yet.
    if (child.connected) child.once('disconnect', () => exit(how));
    else exit(how);
  });
  return {
    threadId: null,
    pid: child.pid ?? null,
    post: (message) => {
      if (child.connected) child.send({ gyreWorkers: message } as Serializable);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

/** The number that an inherited listening socket has in the worker: the first after the channel. */
export const INHERITED_DESCRIPTOR = 4;

function forkWith(script: string, { listenOn }: StartMessage): ChildProcess {
  const execArgv = inheritedOptions(process.execArgv);
  const serialization = 'advanced';
  if (listenOn.by === 'cluster') {
    // All workers accept from one socket. SCHED_RR sends connections through the channel instead, and loses
    // those that a worker has not answered when it ends.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: script, args: [], execArgv, serialization });
    return cluster.fork().process;
  }
  const stdio: ('inherit' | 'ipc' | number)[] = ['inherit', 'inherit', 'inherit', 'ipc'];
  if (listenOn.by === 'descriptor') stdio.push(listenOn.fd);
  return fork(script, [], { execArgv, serialization, stdio });
}

function receive(value: unknown, events: WorkerLinkEvents): void {
  const message = openEnvelope<FromWorker>(value);
  if (message !== null) events.onMessage(message);
}
