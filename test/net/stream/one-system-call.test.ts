import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loaderOptions } from '../../helpers/typescript.ts';

// stream-transport.test.ts counts the transport's calls of the host. This test counts the system calls, by
// strace.

const child = fileURLToPath(new URL('./one-call.child.ts', import.meta.url));

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0;

test('the writes of one turn leave in one system call', {
  skip: canTrace ? false : 'strace is not there, or may not trace',
}, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-strace-'));
  try {
    const log = path.join(folder, 'log');
    const calls = ['write', 'writev', 'sendto', 'sendmsg', 'sendmmsg'].join(',');
    const node = [process.execPath, ...loaderOptions, child];
    const cwd = fileURLToPath(new URL('../../..', import.meta.url));
    execFileSync('strace', ['-f', '-e', `trace=${calls}`, '-o', log, ...node], { cwd, stdio: 'pipe' });
    const seen = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('gyre-line'));
    // One for the 200 strings, one for the twenty tasks, one for the answer.
    assert.equal(seen.length, 3, seen.join('\n'));
    assert.match(seen[2] as string, /gyre-line answer/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
