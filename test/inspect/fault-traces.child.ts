/** A program for tests of `GYRE_TRACE`: `node fault-traces.child.ts <scenario>`. */
import { Worker } from 'node:worker_threads';
import { getRunningLoop, run, sleep } from '../../src/index.ts';

const scenarios: Record<string, () => Promise<void>> = {
  async returns() {
    await run(() => sleep(0));
    console.log(process.listenerCount('uncaughtExceptionMonitor'), process.listenerCount('SIGUSR2'));
  },
  async rejects() {
    await run(async () => {
      await getRunningLoop().createTask(() => sleep(0.001), { name: 'doomed' });
      throw new RangeError('too far');
    });
  },
  async throwsInATurn() {
    await run(async () => {
      await sleep(0.001);
      getRunningLoop().callSoon(function lastCallback() {
        (process as NodeJS.EventEmitter).emit('uncaughtExceptionMonitor', new Error('seen'));
      });
      await sleep(0.001);
    });
  },
  async goesOn() {
    process.on('uncaughtException', () => {});
    await run(async () => {
      for (let i = 0; i < 2; i++) {
        // biome-ignore lint/style/noRestrictedGlobals: the error is that of a timer of Node
        setTimeout(() => {
          throw new Error('again');
        });
        await sleep(0.02);
      }
    });
  },
  async waits() {
    await run(async () => {
      const loop = getRunningLoop();
      const done = loop.createFuture<void>();
      process.stdin.once('data', () => done.setResult());
      const waiter = loop.createTask(() => done, { name: 'patient' });
      await sleep(0.001);
      console.log('ready');
      await waiter;
    });
    process.stdin.destroy();
  },
  async worker() {
    const worker = new Worker(new URL(import.meta.url), { argv: ['rejects'] });
    worker.on('error', () => {});
    await new Promise((resolve) => worker.once('exit', resolve));
  },
};

await scenarios[process.argv[2] ?? '']?.();
