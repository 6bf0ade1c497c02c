/** A stream that alone was ready several times is read without asking the kernel which handle is ready. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Id } from '../../../src/backend/uv/addon.ts';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { hostPasses } from '../../helpers/host-pass.ts';
import { dataOf, ENDED, RawAddon, READ } from './raw-addon.ts';
import { tcpPair } from './raw-pairs.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

/** More messages than the poller needs to expect the next one. */
const ENOUGH = 20;
/** The poll phases that the poller may expect the same stream in a row, and one more. */
const MOST_PHASES = 5;

async function exchange(raw: RawAddon, near: Id, far: Id, times: number = 1): Promise<void> {
  for (let i = 0; i < times; i++) {
    assert.equal(raw.addon.tryWrite(near, Buffer.from(`${i} `)), `${i} `.length);
    assert.equal(dataOf(await raw.take(READ, far)).toString(), `${i} `);
  }
}

test('a connection that is ready in every poll phase delays another for a few phases only', {
  skip,
}, async () => {
  const raw = new RawAddon();
  const busy = await tcpPair(raw);
  const other = await tcpPair(raw);
  raw.addon.readStart(busy.far);
  raw.addon.readStart(other.far);
  for (let round = 0; round < 10; round++) {
    await exchange(raw, busy.near, busy.far, ENOUGH);
    raw.addon.tryWrite(other.near, Buffer.from('other'));
    let phases = 0;
    while (!raw.records.some(({ id }) => id === other.far)) {
      await exchange(raw, busy.near, busy.far);
      phases++;
    }
    assert.ok(phases <= MOST_PHASES, `it waited for ${phases} phases`);
    assert.equal(dataOf(await raw.take(READ, other.far)).toString(), 'other');
  }
  await raw.end([busy.listener, busy.near, busy.far, other.listener, other.near, other.far]);
});

test('a connection that the poller expects is not read while reading is stopped', { skip }, async () => {
  const raw = new RawAddon();
  const { listener, near, far } = await tcpPair(raw);
  raw.addon.readStart(far);
  await exchange(raw, near, far, ENOUGH);
  raw.addon.readStop(far);
  raw.addon.tryWrite(near, Buffer.from('held'));
  await hostPasses(10);
  assert.deepEqual(raw.records, []);
  raw.addon.readStart(far);
  assert.equal(dataOf(await raw.take(READ, far)).toString(), 'held');
  await raw.end([listener, near, far]);
});

test('a connection that the poller expects reports its end once', { skip }, async () => {
  const raw = new RawAddon();
  const { listener, near, far } = await tcpPair(raw);
  raw.addon.readStart(far);
  await exchange(raw, near, far, ENOUGH);
  raw.addon.close(near);
  await raw.take(ENDED, far);
  await hostPasses(10);
  assert.deepEqual(raw.records, []);
  await raw.end([listener, far]);
});
