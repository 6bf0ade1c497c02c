/** Calls of functions on other machines, through a real Redis. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';
import { BullMQExecutor, BullMQWorker } from '../../src/entry/bullmq.ts';
import { BrokenExecutorError, getRunningLoop, run } from '../../src/index.ts';
import { noRedis } from '../compat/servers.ts';
import { Bench, jobs, jobsUrl } from './jobs-of.ts';
import { TestRedis } from './redis.ts';

const options = { skip: noRedis };
let redis: TestRedis;

before(async () => {
  if (noRedis === false) redis = await TestRedis.start();
});
after(() => redis?.[Symbol.asyncDispose]());

test('a loop runs a function of a module on a worker and gets its result', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker();
  const sum: number = await run(() => getRunningLoop().runInExecutor(bench.executor, jobs.add, 2, 3));
  assert.equal(sum, 5);
});

test('arguments and results keep what structuredClone keeps', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker();
  const value: Record<string, unknown> = {
    date: new Date(0),
    map: new Map([['a', new Set([1n])]]),
    bytes: new Uint8Array([1, 2, 3]),
    nothing: undefined,
    nan: Number.NaN,
  };
  value.self = value;
  assert.deepEqual(await bench.executor.submit(jobs.same, [value]), value);
  assert.equal(await bench.executor.submit(jobs.same, [undefined]), undefined);
});

test('an error arrives with class, code, cause, stack and the machine', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker();
  await assert.rejects(
    bench.executor.submit(jobs.fail, []),
    (error: RangeError & Record<string, unknown>) => {
      assert.ok(error instanceof RangeError);
      assert.equal(error.name, 'QuotaError');
      assert.equal(error.message, 'too much');
      assert.equal(error.code, 'E_QUOTA');
      assert.ok(error.cause instanceof TypeError);
      assert.match(error.stack ?? '', /jobs\.ts/);
      assert.deepEqual(error.machine, { hostname: hostname(), pid: process.pid });
      return true;
    },
  );
});

test('a result that cannot be copied rejects the call and names the part', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker();
  await assert.rejects(bench.executor.submit(jobs.uncopyable, []), /cannot be copied .*it\.deep\[0\]/);
});

test('arguments and results over maxBytes are refused with a hint', options, async () => {
  await using bench = new Bench(redis.url, { maxBytes: 1000 });
  await bench.worker({ maxBytes: 1000 });
  const refused = { code: 'ERR_OUT_OF_RANGE', message: /exceed the limit of 1000 bytes .*object store/ };
  assert.throws(() => bench.executor.submit(jobs.same, [new Uint8Array(1001)]), refused);
  await assert.rejects(bench.executor.submit(jobs.large, [1001]), refused);
});

test('an argument that cannot be copied throws at the call and is named', options, async () => {
  await using bench = new Bench(redis.url);
  assert.throws(() => bench.executor.submit(jobs.same, [{ f: () => 1 }]), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /args\[0\]\.f/,
  });
});

test('a function that is not of importFunctions is refused, because no code is sent', options, async () => {
  await using bench = new Bench(redis.url);
  assert.throws(() => bench.executor.submit(() => 1, []), { code: 'ERR_INVALID_ARG_TYPE' });
});

test(
  'a function that the module does not export fails with the names of those that it exports',
  options,
  async () => {
    await using bench = new Bench(redis.url);
    await bench.worker();
    const missing = (jobs as unknown as Record<string, () => void>).missing as () => void;
    await assert.rejects(
      bench.executor.submit(missing, []),
      /exports no function "missing"; it exports .*add/,
    );
  },
);

test('a job whose process dies rejects the call, and the worker goes on', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker({ kind: 'process' });
  await assert.rejects(bench.executor.submit(jobs.crash, []), BrokenExecutorError);
  assert.equal(await bench.executor.submit(jobs.add, [1, 1]), 2);
});

test('a shutdown waits for the pending jobs, and later calls throw', options, async () => {
  await using bench = new Bench(redis.url);
  const sum = bench.executor.submit(jobs.add, [2, 2]);
  const end = bench.executor.shutdown();
  await bench.worker();
  assert.equal(await sum, 4);
  await end;
  assert.throws(() => bench.executor.submit(jobs.add, [1, 1]), BrokenExecutorError);
});

test('a shutdown with cancelPending rejects the jobs that no worker has begun', options, async () => {
  await using bench = new Bench(redis.url);
  const sums = [1, 2, 3].map((n) => bench.executor.submit(jobs.add, [n, n]));
  const ends = Promise.allSettled(sums);
  await bench.executor.shutdown({ cancelPending: true });
  for (const { status } of await ends) assert.equal(status, 'rejected');
});

test('a shutdown with cancelPending ends also while Redis cannot be reached', options, async () => {
  const executor = new BullMQExecutor({ queue: 'nowhere', connection: 'redis://127.0.0.1:1' });
  const sum = executor.submit(jobs.add, [1, 1]);
  const rejected = assert.rejects(sum, { code: 'ERR_CANCELLED' });
  await executor.shutdown({ cancelPending: true });
  await rejected;
});

test('without a connection the same program runs on a process pool', async () => {
  await using executor = new BullMQExecutor({ queue: 'local' });
  assert.equal(await executor.submit(jobs.add, [2, 3]), 5);
  await assert.rejects(executor.submit(jobs.fail, []), { code: 'E_QUOTA' });
});

test('options of the wrong kind are refused at once', () => {
  for (const wrong of [
    { queue: '' },
    { queue: 'a:b' },
    { queue: 'q', connection: 'localhost' },
    { queue: 'q', connexion: 'redis://localhost' },
    { queue: 'q', maxBytes: 0 },
    { queue: 'q', modules: [jobsUrl, new URL('./other/jobs.ts', import.meta.url)] },
  ]) {
    assert.throws(() => new BullMQExecutor(wrong as never), /argument must be/);
  }
  assert.throws(() => new BullMQWorker({ queue: 'q', modules: [jobsUrl] } as never), /options.connection/);
});
