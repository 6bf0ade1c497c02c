/** A worker as a program of its own, which a test may kill: its arguments are the URL and the queue. */
import { BullMQWorker } from '../../src/entry/bullmq.ts';

const [connection = '', queue = ''] = process.argv.slice(2);
const modules = [new URL('./jobs.ts', import.meta.url)];
const worker = new BullMQWorker({
  connection,
  queue,
  modules,
  kind: 'thread',
  maxWorkers: 2,
  lockDuration: 1,
});
await worker.ready();
console.log('ready');
