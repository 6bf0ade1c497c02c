/** Programs and workers in TypeScript, on whichever runtime the tests run: Node needs tsx for them, Bun and Deno do not. */
import { Worker } from 'node:worker_threads';

/** Whether this is Node itself. */
export const isNode: boolean = process.versions.bun === undefined && process.versions.deno === undefined;

/** What to give `process.execPath` to run `file`. */
export function tsArguments(file: string, ...args: string[]): string[] {
  return isNode ? ['--import', 'tsx', file, ...args] : [file, ...args];
}

/** A worker that runs `file`. */
export function tsWorker(file: URL, workerData: unknown): Worker {
  if (!isNode) return new Worker(file, { workerData });
  // Node 20 hands `--import tsx` on to no worker.
  const href = JSON.stringify(file.href);
  const code = `import('tsx/esm/api').then((tsx) => tsx.tsImport(${href}, ${href}));`;
  return new Worker(code, { eval: true, workerData });
}
