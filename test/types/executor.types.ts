import type { Executor, Future, ImportedFunctions, Job, RemoteLoop, RemotePort } from 'gyre';
import {
  connectRemote,
  currentJob,
  getRunningLoop,
  importFunctions,
  ProcessPoolExecutor,
  referenceOf,
  ThreadPoolExecutor,
  toThread,
} from 'gyre';
import type { Equals } from './equals.ts';
import { check } from './equals.ts';

/** Returns the type of a call's result, without calling it. */
type Of<F extends (...args: never[]) => unknown> = ReturnType<F>;

interface Jobs {
  fib(n: number): number;
  fetchText(url: string, retries?: number): Promise<string>;
  readonly limit: number;
  readonly Point: new () => object;
}

const jobs = importFunctions<Jobs>('data:text/javascript,');
const pool = new ThreadPoolExecutor({ maxWorkers: 2, gracePeriod: 1 });
const processes: Executor = new ProcessPoolExecutor();
const loop = () => getRunningLoop();

// the functions of a module, and nothing else of it
check<Equals<typeof jobs, ImportedFunctions<Jobs>>>();
check<Equals<keyof typeof jobs, 'fib' | 'fetchText'>>();
check<Equals<typeof jobs.fib, Jobs['fib']>>();

// results are what the function returns or awaits
const fib = () => loop().runInExecutor(null, jobs.fib, 30);
check<Equals<Of<typeof fib>, Future<number>>>();
const text = () => loop().runInExecutor(pool, jobs.fetchText, 'https://example.org');
check<Equals<Of<typeof text>, Future<string>>>();
const inline = () => loop().runInExecutor(processes, (a: number, b: string) => [a, b] as const, 1, 'b');
check<Equals<Of<typeof inline>, Future<readonly [number, string]>>>();
const threaded = () => toThread(async (n: number) => n > 5, 6);
check<Equals<Of<typeof threaded>, Future<boolean>>>();
const submitted = () => pool.submit(jobs.fetchText, ['https://example.org', 3]);
check<Equals<Of<typeof submitted>, Promise<string>>>();
const down = () => loop().shutdownDefaultExecutor();
check<Equals<Of<typeof down>, Future<void>>>();

// the type of a progress report is the caller's choice
const withProgress = () =>
  pool.withOptions({ onProgress: (part: { done: number }) => console.log(part.done), transfer: [] });
check<Equals<Of<typeof withProgress>, Executor>>();
const job = () => currentJob();
check<Equals<Of<typeof job>, Job | null>>();
const transferred = () => currentJob()?.transfer(new Uint8Array(8), []);
check<Equals<Of<typeof transferred>, Uint8Array<ArrayBuffer> | undefined>>();
const reference = () => referenceOf(jobs.fib)?.module;
check<Equals<Of<typeof reference>, string | undefined>>();

// a foreign executor
const foreign: Executor = {
  submit: async (fn, args) => (await fn(...args)) as never,
  shutdown: async () => {},
};
check<Equals<typeof foreign, Executor>>();

// remote calls are typed by the handlers
const handlers = { add: (_n: number) => {}, note: (_text: string, _more?: boolean) => {} };
const port = () => loop().remote(handlers);
check<Equals<Of<typeof port>, RemotePort<typeof handlers>>>();
const remote = () => connectRemote<typeof handlers>(port());
check<Equals<Of<typeof remote>, RemoteLoop<typeof handlers>>>();
const inferred = () => connectRemote(port());
check<Equals<Of<typeof inferred>, RemoteLoop<typeof handlers>>>();
const calls = () => {
  remote().callSoonThreadsafe('add', 5);
  remote().callSoonThreadsafe('note', 'text');
  remote().callSoonThreadsafe('note', 'text', true);
};
check<Equals<Of<typeof calls>, void>>();
class Counter {
  size = 1;
  add(_n: number): void {}
}
const instance = () => connectRemote(loop().remote(new Counter()));
check<Equals<Of<typeof instance>, RemoteLoop<Counter>>>();
const counted = () => instance().callSoonThreadsafe('add', 5);
check<Equals<Of<typeof counted>, void>>();

export const mistakes = (): void => {
  // @ts-expect-error: a number
  void loop().runInExecutor(null, jobs.fib, '30');
  // @ts-expect-error: an argument is missing
  void loop().runInExecutor(null, jobs.fib);
  // @ts-expect-error: one too many
  void loop().runInExecutor(null, jobs.fib, 30, 31);
  // @ts-expect-error: the executor, or null
  void loop().runInExecutor(jobs.fib, 30);
  // @ts-expect-error: no such export
  void jobs.fibb;
  // @ts-expect-error: no function
  void jobs.limit;
  // @ts-expect-error: a number
  void toThread((n: number) => n, 'text');
  // @ts-expect-error: arguments are an array
  void pool.submit(jobs.fib, 30);
  // @ts-expect-error: of the function's own types
  void pool.submit(jobs.fib, ['30']);
  // @ts-expect-error: an option that there is not
  void new ThreadPoolExecutor({ workers: 2 });
  // @ts-expect-error: each job has its own signal
  void pool.withOptions({ signal: AbortSignal.abort() });
  // @ts-expect-error: no executor
  loop().setDefaultExecutor({ submit: async () => {} });
  // @ts-expect-error: no such handler
  remote().callSoonThreadsafe('substract', 5);
  // @ts-expect-error: a number
  remote().callSoonThreadsafe('add', '5');
  // @ts-expect-error: handlers are functions
  void loop().remote({ add: 5 });
};
