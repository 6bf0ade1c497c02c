/** `gyre worker`: runs the jobs of a queue, until SIGTERM or Ctrl-C. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { BullMQWorker } from '../../entry/bullmq.ts';
import { getRunningLoop } from '../../index.ts';
import type { Output } from '../output.ts';
import { print } from '../output.ts';
import { Problem } from '../problem.ts';

export async function worker(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parsed(args);
  const { queue, redis = process.env.REDIS_URL, prefix, workers, threads = false } = values;
  if (queue === undefined || positionals.length === 0) {
    throw new Problem('worker needs a queue and its modules: gyre worker --queue images ./jobs.ts');
  }
  if (redis === undefined) {
    throw new Problem('worker needs the address of a Redis: --redis redis://host:6379, or REDIS_URL');
  }
  const loop = getRunningLoop();
  const stopped = loop.createFuture<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    loop.addSignalHandler(signal, () => {
      // The second signal does not wait for the running jobs: other workers will run them again.
      if (stopped.done()) process.exit(1);
      stopped.setResult();
    });
  }
  await using running = start({
    queue,
    connection: redis,
    ...(prefix !== undefined && { prefix }),
    ...(workers !== undefined && { maxWorkers: Number(workers) }),
    modules: modulesOf(positionals),
    kind: threads ? 'thread' : 'process',
    onMessage: (text) => process.stderr.write(`gyre worker: ${text}\n`),
  });
  await running.ready().catch((error: Error) => {
    throw new Problem(error.message);
  });
  print(output, [`takes jobs of the queue ${queue}`]);
  await stopped;
  return 0;
}

function start(options: ConstructorParameters<typeof BullMQWorker>[0]): BullMQWorker {
  try {
    return new BullMQWorker(options);
  } catch (error) {
    throw new Problem((error as Error).message);
  }
}

/** `./jobs.ts`, `node:path`, or `name=./jobs.ts`. */
function modulesOf(positionals: readonly string[]): Record<string, URL> {
  const modules: Record<string, URL> = {};
  for (const text of positionals) {
    const [, given, place = ''] = /^(?:([\w.-]+)=)?(.*)$/.exec(text) ?? [];
    const url = /^(file|node|data):/.test(place) ? new URL(place) : pathToFileURL(place);
    const name = given ?? (url.protocol === 'file:' ? path.basename(place) : url.href);
    if (name in modules) {
      throw new Problem(`two modules are named ${name}: name them, as in images=./image/jobs.ts`);
    }
    modules[name] = url;
  }
  return modules;
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        queue: { type: 'string' },
        redis: { type: 'string' },
        prefix: { type: 'string' },
        workers: { type: 'string' },
        threads: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new Problem((error as Error).message);
  }
}
