import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Piscina } from 'piscina';
import type { AnyFunction, Executor, SubmitOptions } from '../../src/index.ts';
import { CancelledError, importFunctions, referenceOf, toThread, waitFor } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';

// A pool of another library fits the interface in 20 lines.

class PiscinaExecutor implements Executor {
  readonly #pool = new Piscina({
    filename: new URL('./piscina.worker.mjs', import.meta.url).href,
    maxThreads: 1,
  });

  submit<F extends AnyFunction>(
    fn: F,
    args: Parameters<F>,
    { signal, transfer = [] }: SubmitOptions = {},
  ): Promise<Awaited<ReturnType<F>>> {
    const reference = referenceOf(fn);
    if (reference === null) throw new TypeError('this executor runs functions of modules only');
    const transferList = transfer as ArrayBuffer[];
    return this.#pool.run({ ...reference, args }, { transferList, ...(signal && { signal }) });
  }

  shutdown({ wait = true } = {}): Promise<void> {
    return wait ? this.#pool.close() : this.#pool.destroy();
  }
}

const jobs = importFunctions<typeof import('./piscina.jobs.mjs')>(
  new URL('./piscina.jobs.mjs', import.meta.url),
);

describe('Piscina as an executor', () => {
  test(
    'Piscina as an executor runs functions, also as the default executor',
    onNode(async (loop) => {
      const executor = new PiscinaExecutor();
      assert.equal(await loop.runInExecutor(executor, jobs.fib, 15), 610);
      await assert.rejects(loop.runInExecutor(executor, jobs.fail), {
        name: 'TypeError',
        message: 'of the job',
      });
      loop.setDefaultExecutor(executor);
      assert.equal(await toThread(jobs.fib, 10), 55);
      const bytes = new Uint8Array(16);
      assert.equal(await executor.submit(jobs.size, [bytes], { transfer: [bytes.buffer] }), 16);
      assert.equal(bytes.length, 0);
      assert.throws(() => void loop.runInExecutor(executor, () => 5), {
        message: /functions of modules only/,
      });
      await loop.shutdownDefaultExecutor();
    }),
  );

  test(
    'Piscina as an executor is cancelled by the future, and recovers from a worker that dies',
    onNode(async (loop) => {
      const executor = new PiscinaExecutor();
      await assert.rejects(waitFor(loop.runInExecutor(executor, jobs.spin), 0.05), { name: 'TimeoutError' });
      const future = loop.runInExecutor(executor, jobs.spin);
      future.cancel();
      await assert.rejects(future, CancelledError);
      await assert.rejects(loop.runInExecutor(executor, jobs.exit, 3));
      assert.equal(await loop.runInExecutor(executor, jobs.fib, 10), 55);
      await executor.shutdown();
    }),
  );
});
