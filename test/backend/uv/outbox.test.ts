import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { addon } from '../../../src/backend/uv/dispatch.ts';
import { sleep, UvEventLoop } from '../../../src/index.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { endAll, endpointPair } from '../../helpers/datagrams.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

test('the datagrams of a turn leave in one call for all sockets, and a long one, or an end, takes the earlier ones along', {
  skip,
}, async () => {
  const loop = new UvEventLoop();
  await loop.runUntilComplete(async () => {
    const one = await endpointPair(loop);
    const other = await endpointPair(loop);
    const sendAll = mock.method(addon(), 'sendAll');
    const calls = (): number => sendAll.mock.callCount();
    await sleep(0);
    for (let i = 0; i < 10; i++) {
      one.near.transport.sendto(`${i}`);
      other.near.transport.sendto(`${i}`);
    }
    assert.equal(calls(), 0);
    await one.far.untilReceived(10);
    await other.far.untilReceived(10);
    assert.equal(calls(), 1);
    one.near.transport.sendto('short');
    one.near.transport.sendto(Buffer.alloc(10_000));
    assert.equal(calls(), 2);
    one.near.transport.sendto('last');
    one.near.transport.close();
    assert.equal(calls(), 3);
    await one.far.untilReceived(13);
    assert.deepEqual(
      one.far.datagrams.slice(10).map((data) => data.length),
      [5, 10_000, 4],
    );
    sendAll.mock.restore();
    await endAll(one.far, other.near, other.far);
  });
  loop.close();
});
