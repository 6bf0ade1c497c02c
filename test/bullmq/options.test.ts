/** Cancels, deadlines, delays, retries, priorities, keys, progress and versions, through a real Redis. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { noRedis } from '../compat/servers.ts';
import { Bench, jobs, jobsUrl, untilFile } from './jobs-of.ts';
import { TestRedis } from './redis.ts';

const options = { skip: noRedis };
let redis: TestRedis;

before(async () => {
  if (noRedis === false) redis = await TestRedis.start();
});
after(() => redis?.[Symbol.asyncDispose]());

test('progress arrives in order and before the result', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker();
  const parts: unknown[] = [];
  const onProgress = (value: unknown): void => void parts.push(value);
  assert.equal(await bench.executor.withOptions({ onProgress }).submit(jobs.report, [3]), 'reported');
  assert.deepEqual(parts, [{ part: 1 }, { part: 2 }, { part: 3 }]);
});

test('a cancelled job that is queued never runs', options, async () => {
  await using bench = new Bench(redis.url);
  const controller = new AbortController();
  const file = bench.file('ran');
  const cancelled = bench.executor.submit(jobs.note, [file, 'cancelled'], { signal: controller.signal });
  const kept = bench.executor.submit(jobs.note, [file, 'kept']);
  controller.abort();
  await assert.rejects(cancelled, { code: 'ERR_CANCELLED' });
  await bench.executor.submit(jobs.same, [1], { timeout: 0.05 }).catch(() => {});
  await bench.worker();
  await kept;
  assert.equal(readFileSync(file, 'utf8'), 'kept\n');
});

test('the signal of a running job aborts on the worker when its caller cancels', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker();
  const controller = new AbortController();
  const file = bench.file('cancel');
  const job = bench.executor.submit(jobs.untilCancelled, [file], { signal: controller.signal });
  await untilFile(file, /begun/);
  controller.abort();
  await assert.rejects(job, { code: 'ERR_CANCELLED' });
  await untilFile(file, /cancelled/);
});

test(
  'a cancelled job that ignores its signal loses its process, and the worker goes on',
  options,
  async () => {
    await using bench = new Bench(redis.url);
    await bench.worker({ kind: 'process', gracePeriod: 0.01 });
    const controller = new AbortController();
    const file = bench.file('forever');
    const job = bench.executor.submit(jobs.forever, [file], { signal: controller.signal });
    await untilFile(file, /\d\n/);
    controller.abort();
    await assert.rejects(job, { code: 'ERR_CANCELLED' });
    assert.equal(await bench.executor.submit(jobs.add, [1, 2]), 3);
  },
);

test(
  'a job that runs at its deadline is cancelled on the worker, and rejects with TimeoutError',
  options,
  async () => {
    await using bench = new Bench(redis.url);
    await bench.worker();
    const file = bench.file('deadline');
    const job = bench.executor.submit(jobs.untilCancelled, [file], { timeout: 1 });
    await assert.rejects(job, { code: 'ERR_TIMEOUT' });
    await untilFile(file, /cancelled/);
  },
);

test('a job that throws is run again as often as its retries say', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker();
  const retried = { retries: 2, backoff: 0.01 };
  assert.equal(await bench.executor.submit(jobs.failTimes, [bench.file('a'), 2], retried), 3);
  await assert.rejects(bench.executor.submit(jobs.failTimes, [bench.file('b'), 3], retried), /attempt 3/);
});

test('jobs with a lower priority number start first, and a delayed job starts later', options, async () => {
  await using bench = new Bench(redis.url);
  const file = bench.file('order');
  const done = [
    bench.executor.submit(jobs.note, [file, 'delayed'], { delay: 0.5 }),
    bench.executor.submit(jobs.note, [file, 'five'], { priority: 5 }),
    bench.executor.submit(jobs.note, [file, 'one'], { priority: 1 }),
    bench.executor.submit(jobs.note, [file, 'zero']),
  ];
  await assert.rejects(bench.executor.submit(jobs.same, [1], { timeout: 0.2 }), { code: 'ERR_TIMEOUT' });
  await bench.worker();
  await Promise.all(done);
  assert.match(readFileSync(file, 'utf8'), /^zero\none\nfive\n|^zero\ndelayed\none\nfive\n/);
});

test('calls with the same key share one job', options, async () => {
  await using bench = new Bench(redis.url);
  const file = bench.file('key');
  const submit = (): Promise<string> =>
    bench.executor.submit(jobs.noteSlowly, [file, 'once', 1], { key: 'k' });
  const calls = [submit(), submit(), submit()];
  await assert.rejects(bench.executor.submit(jobs.same, [1], { timeout: 0.2 }), { code: 'ERR_TIMEOUT' });
  await bench.worker();
  assert.deepEqual(await Promise.all(calls), ['once', 'once', 'once']);
  assert.equal(readFileSync(file, 'utf8'), 'once\n');
});

test(
  'a worker with another version says so, and the job waits for a worker that has it',
  options,
  async () => {
    await using bench = new Bench(redis.url);
    const other = bench.file('jobs.mjs');
    copyFileSync(new URL('./redis.ts', import.meta.url), other);
    const otherVersion = { 'jobs.ts': pathToFileURL(other) };
    await bench.worker({ modules: otherVersion });
    await assert.rejects(bench.executor.submit(jobs.add, [1, 1], { otherVersion: 'fail' }), {
      code: 'ERR_UNSUPPORTED',
      message: /another version of jobs\.ts/,
    });
    assert.match(bench.messages.join('\n'), /another version of jobs\.ts/);
    const waiting = bench.executor.submit(jobs.add, [1, 1]);
    await bench.worker({ modules: [jobsUrl] });
    assert.equal(await waiting, 2);
  },
);

test('a module that a worker lacks is named', options, async () => {
  await using bench = new Bench(redis.url);
  await bench.worker({ modules: { 'other.ts': jobsUrl } });
  await assert.rejects(
    bench.executor.submit(jobs.add, [1, 1], { otherVersion: 'fail' }),
    /has no module jobs\.ts: it has other\.ts/,
  );
});
