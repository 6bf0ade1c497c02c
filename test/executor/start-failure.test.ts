import assert from 'node:assert/strict';
import { ChildProcess } from 'node:child_process';
import { test } from 'node:test';
import { ProcessPoolExecutor } from '../../src/index.ts';
import { jobs } from './pools.ts';

test('a system that starts no more processes fails each job, and the pool works when it does again', async (context) => {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const last = pool.submit(jobs.exit, [3]);
  const spawn = context.mock.method(ChildProcess.prototype as unknown as { spawn(): void }, 'spawn', () => {
    throw Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' });
  });
  const many = Array.from({ length: 4000 }, () => pool.submit(jobs.fib, [1]));
  await assert.rejects(last, { message: /exited with code 3$/ });
  for (const { status, reason } of (await Promise.allSettled(many)) as PromiseRejectedResult[]) {
    assert.equal(status, 'rejected');
    assert.equal(reason.code, 'ERR_BROKEN_EXECUTOR');
    assert.match(reason.message, /^the worker process that ran fib could not be started$/);
    assert.equal(reason.cause.code, 'EAGAIN');
  }
  spawn.mock.restore();
  assert.equal(await pool.submit(jobs.fib, [5]), 5);
  await pool.shutdown();
});
