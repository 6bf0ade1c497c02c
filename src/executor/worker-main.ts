/**
 * The program of a pool's worker, which is a thread or a process. It waits for jobs and runs them one at a
 * time.
 */
import './pool-library-on-bun.ts';
import { deserialize } from 'node:v8';
import { isMainThread, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { worker } from 'workerpool';
import { setCurrentJob } from './current-job.ts';
import { explainSourceError, functionOfSource } from './function-source.ts';
import { importedFunction } from './imported-function.ts';
import type { JobMark, JobRequest, PackedArgs, ShippedFunction } from './job-messages.ts';
import { isOfPool, warnOfForeignMessage } from './worker-channel.ts';
import { WorkerJob } from './worker-job.ts';

let current: WorkerJob | null = null;
/** The id of the last job that came. A cancel may arrive before its job, or after the job's end. */
let lastId = 0;
const cancelledBefore: Set<number> = new Set();

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...args: any[]) => unknown;

async function run(request: JobRequest): Promise<JobMark> {
  lastId = request.id;
  const args = takeArgs(request.args);
  if (!cancelledBefore.delete(request.id)) await runJob(request, args).catch(die);
  return { gyreJob: request.id };
}

/**
 * Throws outside of the library. The library's own answer would not help, because its errors look like those
 * of other code.
 */
function die(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

async function runJob(request: JobRequest, args: () => unknown[]): Promise<void> {
  const job = new WorkerJob(request);
  current = job;
  setCurrentJob(job);
  try {
    const fn = await functionOf(request.fn);
    // The job was cancelled while its module was loaded, so it has not started.
    if (job.cancelled()) return;
    job.succeed(await fn(...args()));
  } catch (error) {
    job.fail('error', 'source' in request.fn ? explainSourceError(error, request.fn.name) : error);
  } finally {
    job.end();
    current = null;
    setCurrentJob(null);
  }
}

function cancel(id: number): JobMark {
  if (current?.id === id) current.abort();
  else if (id > lastId) cancelledBefore.add(id);
  return { gyreJob: id };
}

async function functionOf(fn: ShippedFunction): Promise<AnyFunction> {
  if ('source' in fn) return functionOfSource(fn.source, fn.name);
  return importedFunction(fn.module, fn.name);
}

/**
 * Takes the arguments out of their port in every case, because an empty port whose other end is closed closes
 * itself. The job reads the arguments, and fails if they cannot be read.
 */
function takeArgs(args: PackedArgs): () => unknown[] {
  if (args instanceof Uint8Array) return () => deserialize(args) as unknown[];
  try {
    const { message } = receiveMessageOnPort(args) as { message: unknown[] };
    return () => message;
  } catch (error) {
    return () => {
      throw error;
    };
  } finally {
    // The other end is already closed, except on Deno.
    if (process.versions.deno !== undefined) args.close();
  }
}

// An uncaught exception ends a process, and the pool would learn only the exit code. For a thread, the host
// reports the exception.
if (isMainThread) process.on('uncaughtExceptionMonitor', (error) => current?.fail('crash', error));

/**
 * Starts the pool library's listener, and lets only the pool's messages reach it, because an unknown message
 * would make the library throw.
 */
function listen(): void {
  const channel = (parentPort ?? process) as {
    on(event: string, listener: (message: unknown) => void): unknown;
  };
  const { on } = channel;
  let warned = false;
  channel.on = (event, listener) => {
    if (event !== 'message') return on.call(channel, event, listener);
    return on.call(channel, event, (message) => {
      if (isOfPool(message)) {
        listener(message);
        return;
      }
      if (!warned) warnOfForeignMessage('a worker of a pool', message);
      warned = true;
    });
  };
  worker({ run, cancel });
  channel.on = on;
}

listen();
