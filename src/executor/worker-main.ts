/** What a worker of a pool runs, thread or process: it waits for jobs and does them, one at a time. */
import './pool-library-on-bun.ts';
import { deserialize } from 'node:v8';
import { isMainThread, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { worker } from 'workerpool';
import { setCurrentJob } from './current-job.ts';
import { explainSourceError, functionOfSource } from './function-source.ts';
import type { JobMark, JobRequest, PackedArgs, ShippedFunction } from './job-messages.ts';
import { isOfPool, warnOfForeignMessage } from './worker-channel.ts';
import { WorkerJob } from './worker-job.ts';

let current: WorkerJob | null = null;
/** The last job that came: a cancel may come before its job, or when the job is over. */
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

/** No answer of the library's says it: its errors cannot be told from those of other code. */
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
    // Cancelled while its module was loaded: it has not begun.
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
  const module = (await import(fn.module)) as Record<string, unknown>;
  const found = module[fn.name];
  if (typeof found === 'function') return found as AnyFunction;
  const functions = Object.keys(module).filter((name) => typeof module[name] === 'function');
  const there = functions.length === 0 ? 'no function at all' : functions.join(', ');
  throw new TypeError(`${fn.module} exports no function ${JSON.stringify(fn.name)}; it exports ${there}`);
}

/**
 * Takes them out of their port in any case: once it is empty it closes, as its other end is closed. Reading
 * them is the job's, which fails if they cannot be read.
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
    // The other end is closed already, but on Deno.
    if (process.versions.deno !== undefined) args.close();
  }
}

// A process dies of what nobody catches, and its exit code is all that would be known of it. Of a thread the
// host tells more.
if (isMainThread) process.on('uncaughtExceptionMonitor', (error) => current?.fail('crash', error));

/**
 * Has the pool library listen, which would fail by a message that it does not know, and so hears of the
 * pool's alone.
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
