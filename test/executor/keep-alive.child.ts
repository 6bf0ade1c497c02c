/**
 * Programs that must end by themselves, or must not end too early. Each prints its progress. argv names the
 * program.
 */
import {
  currentJob,
  getRunningLoop,
  NodeEventLoop,
  ProcessPoolExecutor,
  run,
  ThreadPoolExecutor,
  toThread,
} from '../../src/index.ts';

const fib = (n: number): number => (n < 2 ? 1 : n);
const spin = (): never => {
  for (;;);
};

const spinAfterReport = (): never => {
  currentJob()?.reportProgress(process.pid);
  for (;;);
};

const programs: Record<string, () => Promise<void>> = {
  /** An idle pool without a shutdown. */
  idle: async () => {
    const pools = [new ThreadPoolExecutor({ maxWorkers: 2 }), new ProcessPoolExecutor({ maxWorkers: 2 })];
    for (const pool of pools) console.log(await pool.submit(fib, [5]), await pool.submit(fib, [6]));
  },
  /** Waits for a job outside of any loop. */
  outside: async () => {
    const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    console.log(await pool.submit(async () => new Promise((resolve) => setImmediate(resolve, 'done')), []));
  },
  /** Waits for a job while another one has the only worker, of a loop that no longer runs. */
  queued: async () => {
    const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const later = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve, 'done'));
    const loop = new NodeEventLoop();
    await loop.runUntilComplete(async () => {
      void pool.submit(later, []);
    });
    console.log(await pool.submit(later, []));
    loop.close();
  },
  /** A loop that is closed with its default executor at work. */
  closed: async () => {
    const loop = new NodeEventLoop();
    loop.setExceptionHandler((_loop, { message }) => console.log(message));
    await loop.runUntilComplete(async () => {
      console.log(await loop.runInExecutor(null, fib, 5));
      void loop.runInExecutor(null, spin);
    });
    loop.close();
    console.log('closed');
  },
  /** A loop that ends while a job of a pool of its own runs. */
  left: async () => {
    const pools = [new ThreadPoolExecutor({ maxWorkers: 1 }), new ProcessPoolExecutor({ maxWorkers: 1 })];
    await run(async () => {
      for (const pool of pools) {
        const begun = getRunningLoop().createFuture<number>();
        const onProgress = (pid: number): void => begun.setResult(pid);
        void pool.submit(spinAfterReport, [], { onProgress });
        console.log(await begun);
      }
    });
    console.log('end');
  },
  /** Waits for ever, with one idle process and two in a job that never ends by itself. */
  waiting: async () => {
    const pool = new ProcessPoolExecutor({ maxWorkers: 3 });
    const never = (): Promise<never> => {
      currentJob()?.reportProgress(process.pid);
      return new Promise(() => {});
    };
    const begun = [1, 2].map(
      () => new Promise<unknown>((onProgress) => void pool.submit(never, [], { onProgress })),
    );
    const idle = pool.submit(() => process.pid, []);
    console.log(...(await Promise.all([...begun, idle])));
  },
  /** Prints the addresses at which a debugger can reach this process and two workers. */
  inspected: async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
    const address = (): string => process.getBuiltinModule('node:inspector').url() ?? 'none';
    console.log(address());
    for (const url of await Promise.all([1, 2].map(() => pool.submit(address, [])))) console.log(url);
  },
  /** A pool whose worker has died. */
  crashed: async () => {
    for (const pool of [new ThreadPoolExecutor(), new ProcessPoolExecutor()]) {
      await pool.submit(() => process.exit(3), []).catch(({ code }) => console.log(code));
    }
  },
  /** Calls `toThread()` in `run()`. */
  run: async () => {
    console.log(await run(() => toThread(fib, 5)));
  },
  /** A port that is never closed, and a loop that is. */
  remote: async () => {
    await run(async () => {
      const port = getRunningLoop().remote({ fn: () => {} });
      console.log(typeof port.postMessage);
    });
    const loop = new NodeEventLoop();
    loop.remote({ fn: () => {} });
  },
};

await programs[process.argv[2] as string]?.();
