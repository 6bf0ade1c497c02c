/** Datagrams that are sent in one turn. Some hosts send them together, without a visible difference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf, endAll, endpoint, endpointPair } from '../../helpers/datagrams.ts';
import { makeLoop, onNode } from '../../helpers/pairs.ts';

test(
  'small and large datagrams of one turn arrive in order, each at its address',
  onNode(async (loop) => {
    const one = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const other = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const from = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const sizes = [0, 1, 7, 8, 9, 2048, 2049, 20_000, 5, 2000, 3000, 64, 64, 64, 1];
    for (const [i, size] of sizes.entries()) {
      from.transport.sendto(Buffer.alloc(size, i), addressOf(one));
      if (i % 3 === 0) from.transport.sendto(`${i}`, addressOf(other));
    }
    await one.untilReceived(sizes.length);
    await other.untilReceived(5);
    assert.deepEqual(
      one.datagrams.map((data) => [data.length, data[0]]),
      sizes.map((size, i) => [size, size === 0 ? undefined : i]),
    );
    assert.deepEqual(other.texts, ['0', '3', '6', '9', '12']);
    for (const sender of [...one.senders, ...other.senders]) assert.deepEqual(sender, addressOf(from));
    await endAll(one, other, from);
  }),
);

test(
  'sockets that answer each other in one turn do not mix their datagrams',
  onNode(async (loop) => {
    const pairs = await Promise.all(Array.from({ length: 5 }, () => endpointPair(loop)));
    for (let round = 0; round < 20; round++) {
      for (const [i, { near }] of pairs.entries()) near.transport.sendto(`${i}:${round}`);
    }
    for (const [i, { far }] of pairs.entries()) {
      await far.untilReceived(20);
      assert.deepEqual(
        far.texts,
        Array.from({ length: 20 }, (_, round) => `${i}:${round}`),
      );
    }
    await endAll(...pairs.flatMap(({ near, far }) => [near, far]));
  }),
);

test(
  'more datagrams than the host has room for in one turn all leave, in order, before the end',
  onNode(async (loop) => {
    const { near, far } = await endpointPair(loop);
    let taken = 0;
    // As many at a time as the receiver has room for.
    for (let batch = 0; batch < 8; batch++) {
      for (let i = 0; i < 60; i++) near.transport.sendto(Buffer.alloc(1500, taken++ % 256));
      await far.untilReceived(taken);
    }
    for (let i = 0; i < 60; i++) near.transport.sendto(Buffer.alloc(1500, taken++ % 256));
    near.transport.close();
    await near.untilLost();
    await far.untilReceived(taken);
    assert.deepEqual(
      far.datagrams.map((data) => data[0]),
      Array.from({ length: taken }, (_, i) => i % 256),
    );
    await endAll(far);
  }),
);

test(
  'a datagram that cannot be sent is reported, and the others of its turn leave',
  onNode(async (loop) => {
    const far = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    const near = await endpoint(loop, { localAddr: ['127.0.0.1', 0] });
    near.transport.sendto('first', addressOf(far));
    // Broadcast was not allowed.
    near.transport.sendto('refused', ['255.255.255.255', 9]);
    near.transport.sendto('last', addressOf(far));
    await far.untilReceived(2);
    await near.untilTold('error', 1);
    assert.deepEqual(far.texts, ['first', 'last']);
    assert.ok(['EACCES', 'ENETUNREACH'].includes(String(near.codes[0])), String(near.codes));
    await endAll(near, far);
  }),
);

test('datagrams that are sent while the loop is stopped leave at once', async () => {
  const loop = makeLoop();
  const { near, far } = await loop.runUntilComplete(() => endpointPair(loop));
  near.transport.sendto('meanwhile');
  assert.equal(near.transport.getWriteBufferSize(), 0);
  await loop.runUntilComplete(() => far.untilReceived(1));
  assert.deepEqual(far.texts, ['meanwhile']);
  await loop.runUntilComplete(() => endAll(near, far));
  loop.close();
});
