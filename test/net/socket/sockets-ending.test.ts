/**
 * The end of a process or a worker with watched descriptors and pending socket calls: it is clean, and leaves
 * no descriptor.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { noNative } from '../../helpers/descriptors.ts';
import { loader, loaderOptions } from '../../helpers/typescript.ts';

const skip = noNative;
const index = JSON.stringify(new URL('../../../src/index.ts', import.meta.url).href);

/** Watches descriptors, waits in each way, and has more events ready than one poll returns. */
const BUSY = `
  const { AF_INET, SOCK_DGRAM, Socket, UvEventLoop } = await import(${index});
  const loop = new UvEventLoop();
  await loop.runUntilComplete(async () => {
    const listener = new Socket();
    listener.bind(['127.0.0.1', 0]);
    listener.listen();
    const client = new Socket();
    await loop.sockConnect(client, listener.getsockname());
    const [server] = await loop.sockAccept(listener);
    void loop.sockAccept(listener).catch(() => {});
    void loop.sockRecv(server, 100).catch(() => {});
    void loop.sockSendall(server, Buffer.alloc(10_000_000)).catch(() => {});
    for (let i = 0; i < 400; i++) {
      const socket = new Socket(AF_INET, SOCK_DGRAM);
      loop.addWriter(socket, () => {});
      if (i % 2) loop.addReader(socket, () => {});
    }
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  });`;

function ended(program: string): {
  status: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
} {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...loaderOptions, '--input-type=module', '--eval', program],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return { status, signal, stdout, stderr };
}

for (const how of [
  '',
  'process.exit(0)',
  'process.reallyExit(0)',
  'loop.setExceptionHandler(() => {}); loop.close()',
]) {
  test(`a process that ends while it waits for sockets exits cleanly (${how || 'by itself'})`, {
    skip,
  }, () => {
    assert.deepEqual(ended(`${BUSY}\n${how}`), { status: 0, signal: null, stdout: '', stderr: '' });
  });
}

test('a worker that is terminated while its loop runs leaves no descriptor and no spinning thread', {
  skip,
}, () => {
  const worker = `
    import(${JSON.stringify(loader)}).then(async () => {
      ${BUSY}
      setInterval(() => {}, 1000);
      (await import('node:worker_threads')).parentPort.postMessage('busy');
      await loop.runForever();
    });`;
  const program = `
    import { once } from 'node:events';
    import { readdirSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    const count = () => readdirSync('/proc/self/fd').length;
    let before;
    for (let round = 0; round < 4; round++) {
      const worker = new Worker(${JSON.stringify(worker)}, { eval: true });
      await once(worker, 'message');
      await worker.terminate();
      before ??= count();
    }
    for (let i = 0; i < 1000 && count() > before; i++) await new Promise((resolve) => setImmediate(resolve));
    if (count() > before) throw new Error(count() + ' descriptors, and ' + before + ' before');
    const idle = performance.eventLoopUtilization();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { utilization } = performance.eventLoopUtilization(idle);
    if (utilization > 0.5) throw new Error('busy: ' + utilization);
    process.stdout.write('ended');`;
  assert.deepEqual(ended(program), { status: 0, signal: null, stdout: 'ended', stderr: '' });
});
