/** Workers that are killed, a Redis that is killed, full, or needs a password. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BrokenExecutorError } from '../../src/index.ts';
import { noRedis } from '../compat/servers.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import { Bench, jobs } from './jobs-of.ts';
import { TestRedis } from './redis.ts';

const options = { skip: noRedis };
const program = fileURLToPath(new URL('./worker.child.ts', import.meta.url));

test('every job ends once although a worker and Redis are killed', options, async () => {
  await using redis = await TestRedis.start('--appendonly', 'yes');
  await using bench = new Bench(redis.url);
  const child = spawn(process.execPath, [...loaderOptions, program, redis.url, bench.queue]);
  try {
    await once(child.stdout, 'data');
    let ended = 0;
    const calls = Array.from({ length: 200 }, async (_, n) => {
      assert.equal(await bench.executor.submit(jobs.add, [n, 1]), n + 1);
      ended++;
    });
    await calls[20];
    child.kill('SIGKILL');
    await redis.kill();
    await redis.start();
    await bench.worker({ lockDuration: 1 });
    await Promise.all(calls);
    assert.equal(ended, 200);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a Redis that needs a password rejects the call and says so', options, async () => {
  await using redis = await TestRedis.start('--requirepass', 'secret');
  await using bench = new Bench(redis.url);
  await assert.rejects(bench.executor.submit(jobs.add, [1, 1]), (error: Error) => {
    assert.ok(error instanceof BrokenExecutorError);
    assert.match(error.message, /NOAUTH/);
    return true;
  });
  await assert.rejects(bench.worker(), /NOAUTH/);
});

test('a Redis that is full rejects the call with a hint', options, async () => {
  await using redis = await TestRedis.start('--maxmemory', '1');
  await using bench = new Bench(redis.url);
  await assert.rejects(bench.executor.submit(jobs.add, [1, 1]), /Redis is full: free memory/);
});
