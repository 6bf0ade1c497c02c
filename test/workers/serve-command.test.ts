/** `gyre serve` as a program: start, restart, and the end by signals. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isNative } from '../helpers/pairs.ts';
import { askOnce, lines } from './programs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const kind = isNative ? [] : ['--processes'];

/** Waits for a line of the output, and returns its match. */
async function printed(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  let text = '';
  for await (const piece of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    text += piece;
    const match = pattern.exec(text);
    if (match !== null) return match;
  }
  throw new Error(`the program ended without ${pattern}: ${text}`);
}

test('gyre serve runs workers, restarts them at SIGHUP, and ends with code 0 at SIGTERM', {
  skip: process.platform === 'win32' && 'Windows has no SIGHUP for other processes',
}, async () => {
  const cli = 'src/cli/gyre.ts';
  const args = ['serve', fileURLToPath(lines), '--workers', '2', '--host', '127.0.0.1', ...kind];
  const child = spawn(process.execPath, ['--import', './scripts/typescript/register.mjs', cli, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GYRE_BACKEND: isNative ? 'uv' : 'node' },
  });
  const exit = once(child, 'exit');
  const port = Number((await printed(child, /2 workers serve port (\d+)/))[1]);
  assert.match(await askOnce(port, 'who'), /^[12] 1 /);
  const restarted = printed(child, /workers: restarted/);
  child.kill('SIGHUP');
  await restarted;
  assert.match(await askOnce(port, 'who'), /^[12] 2 /);
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [0, null]);
});
