/** Sets and deletes variables of a worker, and posts those that a child of the worker gets. */
import { parentPort } from 'node:worker_threads';
import { UvEventLoop } from '../../src/index.ts';
import { runShell } from './children.ts';

const loop = new UvEventLoop();
await loop.runUntilComplete(async () => {
  process.env.GYRE_TEST_WORKER = 'yes';
  delete process.env.GYRE_TEST_PROCESS;
  const recorder = await runShell(loop, 'printenv GYRE_TEST_WORKER; printenv GYRE_TEST_PROCESS || echo none');
  parentPort?.postMessage(recorder.text(1));
});
loop.close();
