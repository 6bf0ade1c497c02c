/** run() on a worker thread. */
import { parentPort } from 'node:worker_threads';
import { NodeEventLoop, run } from '../src/index.ts';

const before = process.listenerCount('SIGINT');
let added = 0;
const result = await run(
  async () => {
    added = process.listenerCount('SIGINT') - before;
    return 'done';
  },
  { loopFactory: () => new NodeEventLoop() },
);
parentPort?.postMessage({ result, added });
