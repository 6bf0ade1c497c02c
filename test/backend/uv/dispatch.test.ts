/**
 * The calls from the native part into JavaScript: one for each poll phase, and one for each turn that
 * follows.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';
import { loaderOptions } from '../../helpers/typescript.ts';

const skip = whyNoNativeBackend()?.reason ?? false;

test('ticks and microtasks that throw, in a program that continues, lose no turn and no data', {
  skip,
}, () => {
  const child = fileURLToPath(new URL('throwing.child.ts', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [...loaderOptions, child], {
    encoding: 'utf8',
    timeout: 600_000,
  });
  assert.equal(stderr, '');
  assert.equal(stdout, 'caught 300, echoed 100\n');
  assert.equal(status, 0);
});
