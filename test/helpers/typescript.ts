/** Programs and workers in TypeScript. Node needs a loader for them; Bun and Deno do not. */
import { Worker } from 'node:worker_threads';

/** The loader of the test processes, for `import()` in a worker that has no file. */
export const loader: string = new URL('../../scripts/typescript/register.mjs', import.meta.url).href;

/** Node's options that run TypeScript. `register.mjs` explains the first one. */
export const loaderOptions: readonly string[] = ['--expose-internals', '--import', loader];

/** Whether this is Node itself. */
export const isNode: boolean = process.versions.bun === undefined && process.versions.deno === undefined;

/** Returns the arguments of `process.execPath` that run `file`. */
export function tsArguments(file: string, ...args: string[]): string[] {
  return isNode ? [...loaderOptions, file, ...args] : [file, ...args];
}

/** Starts a worker that runs `file`. */
export function tsWorker(file: URL, workerData?: unknown): Worker {
  return new Worker(file, { workerData, ...(isNode ? { execArgv: [...loaderOptions] } : {}) });
}
