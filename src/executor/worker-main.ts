/**
 * The program of a pool's worker, which is a thread or a process. It waits for jobs and runs them one at a
 * time, each in a turn of its own.
 */
import { deserialize, serialize } from 'node:v8';
import type { MessagePort, TransferListItem } from 'node:worker_threads';
import { isMainThread, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { hostNow, hostSetImmediate } from '../base/host.ts';
import { RingQueue } from '../base/ring-queue.ts';
import { setCurrentJob } from './current-job.ts';
import { explainSourceError, functionOfSource } from './function-source.ts';
import { exportedFunction, importModule } from './imported-function.ts';
import type {
  FunctionNumber,
  PackedArgs,
  ProcessMessage,
  ShippedFunction,
  ThreadGreeting,
} from './job-messages.ts';
import { BACK, BEGUN, CANCEL, GIVE_BACK, JOBS, SENT, SLOTS, STOP, TAKEN } from './job-messages.ts';
import { contentOf, fieldsOf, foreignMessageReporter } from './worker-channel.ts';
import type { Send } from './worker-job.ts';
import { WorkerJob } from './worker-job.ts';

// biome-ignore lint/suspicious/noExplicitAny: any function
type AnyFunction = (...args: any[]) => unknown;

/** A job that takes longer, in milliseconds, would hold up jobs that are sent ahead. */
const LONG = 0.5;

type ImportedFunction = Extract<ShippedFunction, { module: string }>;

interface Waiting {
  readonly slot: number;
  readonly word: number;
  readonly fn: KnownFunction;
  readonly args: PackedArgs;
}

/** A function that the pool has sent. */
interface KnownFunction {
  readonly shipped: ShippedFunction;
  /** The namespace of its module, once it is imported. */
  module: Readonly<Record<string, unknown>> | null;
}

const functions: KnownFunction[] = [];
const waiting: RingQueue<Waiting> = new RingQueue();
/** For a process, only this file uses them. */
let states: Int32Array = new Int32Array(SLOTS);
let current: WorkerJob | null = null;
/** A job runs, or the next one will begin soon. */
let busy = false;
let scheduled = false;
/** Answers that are not in the kernel yet. A port has none. */
let unwritten = 0;
let post: Send;
const foreign = foreignMessageReporter('a worker of a pool');

function take(message: readonly unknown[]): void {
  const [kind, ...slots] = message as number[];
  if (kind === JOBS) takeJobs(message);
  else if (kind === CANCEL) cancel(slots[0] as number);
  else if (kind === GIVE_BACK) for (const slot of slots) giveBack(slot);
  else if (kind === STOP) process.exit();
}

function takeJobs(message: readonly unknown[]): void {
  for (let i = 1; i < message.length; i += 4) {
    const slot = message[i] as number;
    const word = message[i + 1] as number;
    if (isMainThread) states[slot] = word;
    const fn = functionOf(message[i + 2] as FunctionNumber);
    waiting.push({ slot, word, fn, args: message[i + 3] as PackedArgs });
  }
  if (busy) return;
  busy = true;
  if (unwritten === 0) beginNext();
}

/** The pool may use a number again. So the function is looked up when its job arrives. */
function functionOf(sent: FunctionNumber): KnownFunction {
  if (typeof sent === 'number') return functions[sent] as KnownFunction;
  const fn: KnownFunction = { shipped: sent[1], module: null };
  functions[sent[0]] = fn;
  return fn;
}

/** For a process: the pool cannot take a job back by itself. */
function giveBack(slot: number): void {
  if ((states[slot] as number) % 4 !== SENT) return;
  states[slot] = TAKEN;
  post([slot, BACK, undefined, false], []);
}

function cancel(slot: number): void {
  if (current?.slot === slot) current.abort();
  else if (isMainThread) giveBack(slot);
}

function beginNext(): void {
  scheduled = false;
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { slot, word } = next;
    if (Atomics.compareExchange(states, slot, word + SENT, word + BEGUN) === word + SENT) {
      run(next).catch(die);
      return;
    }
    if (isPort(next.args)) next.args.close();
  }
  busy = false;
}

/**
 * Begins the next job in another turn, when all code that this one has caused has run, and the pool's
 * messages have been read. A process also waits until its answer is written. If the next job kills the
 * process, the pool then knows which job it was.
 */
function goOn(): void {
  if (waiting.length === 0) {
    busy = false;
  } else if (unwritten === 0 && !scheduled) {
    scheduled = true;
    hostSetImmediate(beginNext);
  }
}

/** Throws outside of the job, which is over. */
function die(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

async function run({ slot, word, fn, args }: Waiting): Promise<void> {
  const { shipped } = fn;
  const job = new WorkerJob(slot, word, shipped.name, states, post);
  const began = hostNow();
  current = job;
  setCurrentJob(job);
  let failed = false;
  let outcome: unknown;
  try {
    const values = valuesOf(args);
    const call = callable(fn) ?? (await load(fn));
    // A job that was cancelled while its module was loaded does not begin.
    outcome = job.cancelled() ? undefined : call(...values);
    if (isObject(outcome)) outcome = await outcome;
  } catch (error) {
    failed = true;
    outcome = 'source' in shipped ? explainSourceError(error, shipped.name) : error;
  }
  job.end();
  answer(job, failed, outcome, hostNow() - began > LONG);
  current = null;
  setCurrentJob(null);
  goOn();
}

function answer(job: WorkerJob, failed: boolean, outcome: unknown, long: boolean): void {
  try {
    if (failed) job.fail(outcome, long);
    else job.succeed(outcome, long);
  } catch (uncopied) {
    job.fail(uncopied, long);
  }
}

/** Returns the function, or null if its module must be imported first. */
function callable({ shipped, module }: KnownFunction): AnyFunction | null {
  if ('source' in shipped) return functionOfSource(shipped.source, shipped.name);
  return module === null ? null : exportedFunction(module, shipped.module, shipped.name);
}

async function load(fn: KnownFunction): Promise<AnyFunction> {
  const { module: url, name } = fn.shipped as ImportedFunction;
  fn.module = await importModule(url);
  return exportedFunction(fn.module, url, name);
}

/** Only an object can be a thenable. `await` of another value would cost a turn of the microtasks. */
function isObject(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function valuesOf(args: PackedArgs): readonly unknown[] {
  if (!isPort(args)) return args instanceof Uint8Array ? (deserialize(args) as unknown[]) : args;
  try {
    return (receiveMessageOnPort(args) as { message: unknown[] }).message;
  } finally {
    // The pool has closed the other end, except on Deno. A port without messages then closes itself.
    if (process.versions.deno !== undefined) args.close();
  }
}

function isPort(args: PackedArgs): args is MessagePort {
  return !Array.isArray(args) && !(args instanceof Uint8Array);
}

// --- the channel ---

function listenToPort({ gyrePort: port, states: shared }: ThreadGreeting): void {
  states = shared;
  post = (answer, transfer) => port.postMessage(answer, transfer as TransferListItem[]);
  port.on('message', take);
}

function listenInThread(channel: MessagePort): void {
  let greeted = false;
  channel.on('message', (message: unknown) => {
    const greeting = fieldsOf<ThreadGreeting>(message);
    if (greeted || greeting.gyrePort === undefined) return foreign(message);
    greeted = true;
    listenToPort(greeting as ThreadGreeting);
  });
}

function listenInProcess(): void {
  const written = (): void => {
    unwritten--;
    if (busy && current === null) goOn();
  };
  post = (answer) => {
    // Deno sends half of a message that cannot be copied, and its parent fails to read that.
    if (process.versions.deno !== undefined) serialize(answer);
    process.send?.({ gyre: answer } satisfies ProcessMessage, undefined, undefined, written);
    unwritten++;
  };
  process.on('message', (message) => {
    const content = contentOf(message);
    if (content === null) foreign(message);
    else take(content);
  });
  // The parent has exited, or was killed.
  process.on('disconnect', () => process.exit(1));
  // An uncaught exception ends a process, and the pool would learn only the exit code. For a thread, the host
  // reports the exception.
  process.on('uncaughtExceptionMonitor', (error) => current?.crash(error));
}

if (parentPort === null) listenInProcess();
else listenInThread(parentPort);
