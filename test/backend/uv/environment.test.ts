/**
 * The native part in worker threads, and at the end of an environment: nothing crashes, nothing is left,
 * others continue.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { held } from '../../fuzz/handles.ts';
import { hostPass } from '../../helpers/host-pass.ts';
import { loaderOptions, tsWorker } from '../../helpers/typescript.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

/** Milliseconds. Under valgrind a process begins in tens of seconds. */
const PATIENCE = 600_000;

let workers = 0;

function worker(name: string, end: string = 'terminated'): Worker {
  // A path of its own, because a terminated server leaves its file behind.
  const path = join(tmpdir(), `gyre-worker-${process.pid}-${++workers}.sock`);
  const made = tsWorker(new URL(name, import.meta.url), { path, end });
  made.once('exit', () => rmSync(path, { force: true }));
  return made;
}

async function untilDescriptors(before: number): Promise<void> {
  for (let polls = 0; polls < 2000 && held().descriptors > before; polls++) await hostPass();
  assert.ok(held().descriptors <= before, `${held().descriptors} descriptors, and ${before} before`);
}

for (const name of ['./worker.child.ts', './raw-worker.child.ts']) {
  test(`workers that are terminated in mid-transfer leave no descriptor, and the process lives (${name})`, {
    skip,
  }, async () => {
    const first = worker(name);
    await once(first, 'message');
    await first.terminate();
    const before = held().descriptors;
    for (let round = 0; round < 3; round++) {
      const both = [worker(name), worker(name)];
      await Promise.all(both.map((one) => once(one, 'message')));
      await Promise.all(both.map((one) => one.terminate()));
    }
    await untilDescriptors(before);
  });
}

test('a worker that exits within a call of the native part leaves nothing', { skip }, async () => {
  const before = held().descriptors;
  for (let round = 0; round < 2; round++) {
    const [code] = await once(worker('./worker.child.ts', 'exits'), 'exit');
    assert.equal(code, 7);
  }
  await untilDescriptors(before);
});

test('a worker that throws with everything open leaves nothing', { skip }, async () => {
  const before = held().descriptors;
  const failing = worker('./worker.child.ts', 'throws');
  const exited = new Promise((resolve) => failing.once('exit', resolve));
  const [error] = await once(failing, 'error');
  assert.equal((error as Error).message, 'on purpose');
  assert.equal(await exited, 1);
  await untilDescriptors(before);
});

const ENDS = {
  'by process.exit()': 'process.exit(0)',
  'by process.reallyExit()': 'process.reallyExit(0)',
  'by itself, when its loop is closed': 'loop.setExceptionHandler(() => {}); loop.close()',
  'in the middle of what the native part calls': 'dataReceived = () => process.exit(0); loop.runForever()',
};

for (const [how, end] of Object.entries(ENDS)) {
  test(`a process that ends with everything open exits cleanly (${how})`, { skip }, () => {
    const program = `
      import { createSubprocessExec, DatagramProtocol, PIPE, Protocol, UvEventLoop } from ${JSON.stringify(new URL('../../../src/index.ts', import.meta.url).href)};
      let dataReceived = () => {};
      class Sink extends Protocol {
        dataReceived() { dataReceived(); }
      }
      const loop = new UvEventLoop();
      await loop.runUntilComplete(async () => {
        const server = await loop.createServer(() => new Sink(), '127.0.0.1', 0);
        const [, port] = server.sockets[0].getsockname();
        const [transport] = await loop.createConnection(() => new Protocol(), '127.0.0.1', port);
        transport.write(Buffer.alloc(8_000_000));
        const [far] = await loop.createDatagramEndpoint(() => new DatagramProtocol(), { localAddr: ['127.0.0.1', 0] });
        far.sendto('x', far.getExtraInfo('sockname'));
        await createSubprocessExec('cat', [], { stdin: PIPE });
        void loop.getaddrinfo('localhost', 80).catch(() => {});
        void loop.createConnection(() => new Protocol(), '127.0.0.1', port).catch(() => {});
      });
      ${end}`;
    const done = spawnSync(process.execPath, [...loaderOptions, '--input-type=module', '--eval', program], {
      encoding: 'utf8',
      timeout: PATIENCE,
    });
    assert.deepEqual([done.status, done.signal, done.stderr], [0, null, '']);
  });
}

test('two copies of gyre in one thread each have a native part', { skip }, () => {
  const program = `
    const [{ UvEventLoop, Protocol }, second] = await Promise.all(['', '?again'].map((copy) =>
      import(${JSON.stringify(new URL('../../../src/index.ts', import.meta.url).href)} + copy)));
    void second;
    const { loadAddon } = await import(${JSON.stringify(new URL('../../../src/backend/uv/addon.ts', import.meta.url).href)});
    const loop = new UvEventLoop();
    let records = 0;
    const other = loadAddon((count) => { records += count; }, [], []).addon;
    const datagram = other.datagram(2, other.packAddress('127.0.0.1', 0, 0), null, false, false);
    other.receiveStart(datagram);
    other.trySend(datagram, Buffer.from('x'), other.packAddress(...other.sockname(datagram), 0));
    await loop.runUntilComplete(async () => {
      const server = await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
      const [transport] = await loop.createConnection(() => new Protocol(), ...server.sockets[0].getsockname());
      transport.abort();
      server.close();
      server.abortClients();
      await server.waitClosed();
    });
    while (records === 0) await new Promise((resolve) => setImmediate(resolve));
    loop.close();`;
  const done = spawnSync(process.execPath, [...loaderOptions, '--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  assert.deepEqual([done.status, done.signal, done.stderr], [0, null, '']);
});
