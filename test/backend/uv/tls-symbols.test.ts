/** The native part loads in a host without OpenSSL. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoNativeBackend } from '../../../src/loops/uv-event-loop.ts';

const NATIVE = fileURLToPath(new URL('../../../native/build/gyre.node', import.meta.url));
const noNm = spawnSync('nm', ['--version']).status === 0 ? false : 'nm is not installed';

test('the native part requires no function of OpenSSL to load, because all of them are weak symbols', {
  skip: whyNoNativeBackend()?.reason ?? noNm,
}, () => {
  const { stdout } = spawnSync('nm', ['--dynamic', '--undefined-only', NATIVE], { encoding: 'utf8' });
  const symbols = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  const required = symbols.filter(([type]) => type === 'U').map(([, name = '']) => name);
  const known = /^(?:napi_|uv_|node_api_)|@GLIBC/;
  assert.deepEqual(
    required.filter((name) => !known.test(name)),
    [],
  );
  assert.ok(symbols.some(([type, name]) => type === 'w' && name === 'SSL_new'));
});
