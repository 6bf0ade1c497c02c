/**
 * Without memory for a socket, or for the loop's epoll set, the call fails, nothing is left open, and the
 * next call works.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildNative, whyNotNative } from '../../../scripts/build-native.mjs';
import { addon } from '../../../src/backend/uv/dispatch.ts';
import type { Socket as SocketType, UvEventLoop } from '../../../src/index.ts';

const skip = whyNotNative() ?? false;
// Before the first loop, which loads the addon.
if (skip === false) process.env.GYRE_NATIVE ??= buildNative('faults');

const { addressOf, listening, onUv, openEnds, passes, pipe } = await import('../../helpers/descriptors.ts');
const { Socket } = await import('../../../src/index.ts');

/** Makes the n-th allocation from now on fail. */
function failAllocation(n: number): void {
  const faulty = addon() as unknown as { failAllocation?: (n: number) => number };
  faulty.failAllocation?.(n);
}

async function exchange(loop: UvEventLoop, listener: SocketType): Promise<void> {
  const client = new Socket();
  await loop.sockConnect(client, addressOf(listener));
  const [server] = await loop.sockAccept(listener);
  const waiting = loop.sockRecv(server, 10);
  await loop.sockSendall(client, 'hello');
  assert.equal(String(await waiting), 'hello');
  client.close();
  server.close();
}

test('new Socket() without memory fails, and leaves no descriptor open', {
  skip: skip || (process.env.GYRE_NATIVE?.includes('faults') === false && 'this build fails no allocation'),
}, async () => {
  await onUv(async (loop) => {
    const before = openEnds();
    failAllocation(0);
    assert.throws(() => new Socket(), { code: 'ENOMEM', syscall: 'socket' });
    assert.equal(openEnds(), before);
    assert.equal(loop._owned.resources.size, 0);
    using listener = listening();
    const { from, write, close } = pipe();
    const ready = openEnds();
    failAllocation(0);
    assert.throws(() => loop.addReader(from, () => {}), { code: 'ENOMEM', syscall: 'epoll_create' });
    failAllocation(0);
    await assert.rejects(async () => loop.sockAccept(listener), { code: 'ENOMEM' });
    assert.equal(openEnds(), ready);
    let calls = 0;
    loop.addReader(from, () => calls++);
    write('x');
    await passes(3);
    assert.ok(calls > 0);
    loop.removeReader(from);
    await exchange(loop, listener);
    close();
  })();
});
