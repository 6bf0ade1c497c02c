/** Posts the results of `getEventLoop()` on a worker thread before and after a loop was set. */
import { parentPort, workerData } from 'node:worker_threads';
import { getEventLoop, setEventLoop } from '../../src/index.ts';
import { targets } from './targets.ts';

function codeOf(fn: () => unknown): unknown {
  try {
    return fn();
  } catch (error) {
    return (error as { code: unknown }).code;
  }
}

const before = codeOf(getEventLoop);
const loop = targets.find(({ backend }) => backend === workerData)?.makeLoop() ?? null;
setEventLoop(loop);
const after = await getEventLoop().runUntilComplete(async () => 'ran');
parentPort?.postMessage({ before, after });
