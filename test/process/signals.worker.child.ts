/** Adds signal handlers on a worker thread. */
import { parentPort } from 'node:worker_threads';
import { NodeEventLoop } from '../../src/index.ts';

const loop = new NodeEventLoop();
const codes: unknown[] = [];
for (const signum of ['SIGTERM', 'SIGKILL', 'SIGNONE']) {
  try {
    loop.addSignalHandler(signum, () => {});
  } catch (error) {
    codes.push((error as { code: unknown }).code);
  }
}
parentPort?.postMessage({
  codes,
  removed: loop.removeSignalHandler('SIGTERM'),
  left: loop._owned.unreported.size,
});
loop.close();
