/** Runs the suites on one backend in a worker thread, one test after the other, and posts each result. */
import { parentPort, workerData } from 'node:worker_threads';
import { entriesOf } from './section.ts';
import { suites } from './suites.ts';
import { targets } from './targets.ts';

export interface Outcome {
  title: string;
  /** Null: passed. `not in workers`: the test got the error that worker threads get. */
  failure: string | null;
}

/** The errors that a worker thread gets: signals do not come there, and no loop is made for it. */
const NOT_IN_WORKERS = ['ERR_SIGNAL_SETUP', 'ERR_NO_EVENT_LOOP'];

const { backend } = workerData as { backend: string };
const target = targets.find((one) => one.backend === backend);
if (target === undefined) throw new Error(`no backend ${backend}`);

for (const { title, run } of entriesOf(suites, target)) {
  const failure = await run().then(
    () => null,
    (error: NodeJS.ErrnoException) =>
      NOT_IN_WORKERS.includes(String(error.code)) ? 'not in workers' : String(error.stack),
  );
  parentPort?.postMessage({ title, failure } satisfies Outcome);
}
