import assert from 'node:assert/strict';
import { ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ProcessPoolExecutor } from '../../src/index.ts';
import { loaderOptions } from '../helpers/typescript.ts';
import { jobs } from './pools.ts';

test('a pool fails each job while the system starts no process, and works when it does again', async (context) => {
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

for (const kind of ['thread', 'process']) {
  const skip = process.platform === 'linux' ? false : 'the limit is set by a shell of Linux';
  test(`a ${kind} pool without descriptors for its first worker fails its jobs, and works when there are some again`, {
    skip,
  }, async () => {
    const program = fileURLToPath(new URL('./emfile.child.ts', import.meta.url));
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    // More than Node and the loader need to start.
    const command = `ulimit -n 128; exec "${process.execPath}" ${loaderOptions.join(' ')} "${program}" ${kind}`;
    const running = spawn('sh', ['-c', command], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
    const printed: Buffer[] = [];
    running.stdout.on('data', (data: Buffer) => printed.push(data));
    const [code] = await once(running, 'close');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(Buffer.concat(printed).toString()), {
      codes: ['ERR_BROKEN_EXECUTOR'],
      again: 42,
    });
  });
}
