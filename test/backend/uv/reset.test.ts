import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { ENDED, RawAddon } from './raw-addon.ts';
import { tcpPair } from './raw-pairs.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

test('a native connection reports a reset also after writeEof()', { skip }, async () => {
  const raw = new RawAddon();
  const { addon } = raw;
  const { listener, near, far } = await tcpPair(raw);
  addon.readStart(far);
  assert.equal(addon.shutdown(near), 0);
  await raw.take(ENDED, far);
  addon.reset(near);
  // After a mere end the kernel would still accept writes.
  assert.ok(addon.tryWrite(far, Buffer.from('x')) < 0);
  await raw.end([listener, far]);
});
