import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./denied.child.ts', import.meta.url));
const hasNetPermission = process.allowedNodeEnvironmentFlags.has('--allow-net');

test('a program without permission for the network gets rejections with ERR_ACCESS_DENIED, and continues', {
  skip: hasNetPermission ? false : 'this Node has no permission for the network',
}, () => {
  // Without tsx, which needs a socket of its own: this version of Node strips types itself.
  const args = ['--permission', '--allow-fs-read=*', '--allow-child-process', '--no-warnings'];
  const { stdout, stderr } = spawnSync(process.execPath, [...args, CHILD], { encoding: 'utf8' });
  assert.equal(stderr, '');
  const codes = JSON.parse(stdout) as Record<string, string>;
  assert.equal(Object.keys(codes).length, 9);
  for (const [title, code] of Object.entries(codes)) assert.equal(code, 'ERR_ACCESS_DENIED', title);
});
