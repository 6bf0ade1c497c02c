/** `gyre serve`: runs a module in workers until a signal ends them, and tells what happens to them. */
import path from 'node:path';
import type { WorkerEvent } from '../../entry/workers.ts';
import { serveWorkers } from '../../entry/workers.ts';
import type { Output } from '../output.ts';
import { print } from '../output.ts';
import { Problem } from '../problem.ts';
import type { ServeArguments } from '../usage.ts';

export async function serve(args: ServeArguments, output: Output): Promise<number> {
  const { module, kind, watch, workers, host, port, deadline } = args;
  const file = path.resolve(module);
  try {
    const supervisor = await serveWorkers(file, {
      kind,
      watch,
      ...(workers === undefined ? {} : { workers }),
      ...(host === undefined ? {} : { host }),
      ...(port === undefined ? {} : { port }),
      ...(deadline === undefined ? {} : { deadline }),
      onEvent: (event) => print(output, [lineOf(event)]),
    });
    print(output, [`${supervisor.workers.length} workers serve port ${supervisor.port}`]);
    await supervisor.serveForever();
    return 0;
  } catch (error) {
    throw problemOf(error);
  }
}

/** Returns an event as a line: `worker 2.1: ready`. The second number is the generation. */
function lineOf({ type, worker, generation, detail, error }: WorkerEvent): string {
  const who = worker === null ? 'workers' : `worker ${worker}.${generation}`;
  const reason = error instanceof Error ? error.message : '';
  return `${who}: ${[type, detail, reason].filter((part) => part !== '').join('; ')}`;
}

/** A worker's own error has a stack in the module, which the user needs. */
function problemOf(error: unknown): unknown {
  const { code, message, cause } = error as Error & { code?: string };
  if (code === undefined) return error;
  const stack = cause instanceof Error ? (cause.stack ?? '') : '';
  return new Problem(message, stack === '' ? [] : stack.split('\n'));
}
