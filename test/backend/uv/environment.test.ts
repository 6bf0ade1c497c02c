/** The native part in worker threads, and at the end of an environment: nothing crashes, nothing is left, others go on. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { held } from '../../fuzz/handles.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

function worker(): Worker {
  // Node 20 does not load TypeScript in a worker by itself.
  const file = JSON.stringify(new URL('./worker.child.ts', import.meta.url).href);
  const code = `import('tsx/esm/api').then(({ register }) => { register(); return import(${file}); })`;
  return new Worker(code, { eval: true });
}

test('workers that are ended in mid-transfer leave no descriptor, and the process lives', {
  skip,
}, async () => {
  const first = worker();
  await once(first, 'message');
  await first.terminate();
  const before = held().descriptors;
  for (let round = 0; round < 3; round++) {
    const both = [worker(), worker()];
    await Promise.all(both.map((one) => once(one, 'message')));
    await Promise.all(both.map((one) => one.terminate()));
  }
  for (let polls = 0; polls < 1000 && held().descriptors > before; polls++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(held().descriptors <= before, `${held().descriptors} descriptors, and ${before} before`);
});

const ENDS = ['process.exit(0)', 'process.reallyExit(0)', 'loop.setExceptionHandler(() => {}); loop.close()'];

for (const how of ENDS) {
  test(`a process that ends with everything open (${how}) ends well`, { skip }, () => {
    const program = `
      import { Protocol, UvEventLoop } from ${JSON.stringify(new URL('../../../src/index.ts', import.meta.url).href)};
      const loop = new UvEventLoop();
      await loop.runUntilComplete(async () => {
        const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
        const [, port] = server.sockets[0].getsockname();
        const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
        transport.write(Buffer.alloc(8_000_000));
        void loop.createConnection(() => new Protocol(), '127.0.0.1', port).catch(() => {});
      });
      ${how}`;
    const done = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.deepEqual([done.status, done.signal, done.stderr], [0, null, '']);
  });
}
