import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loaderOptions } from '../helpers/typescript.ts';

const program = fileURLToPath(new URL('../../examples/cpu-work.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

function start(limit: number): ReturnType<typeof spawn> {
  return spawn(process.execPath, [...loaderOptions, program, String(limit)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 50_000,
    killSignal: 'SIGKILL',
  });
}

test('examples/cpu-work.ts counts the primes', async () => {
  const child = start(10_000);
  const closed = once(child, 'close');
  const lines = (await text(child.stdout as NodeJS.ReadableStream)).trim().split('\n');
  assert.deepEqual(await closed, [0, null]);
  assert.equal(lines.at(-1), '1229 primes below 10000');
});

test('examples/cpu-work.ts reports its progress, and ends by SIGINT with work left', async () => {
  const child = start(2_000_000_000);
  const closed = once(child, 'close');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    if (lines.push(line) === 1) child.kill('SIGINT');
  }
  // Its processes share its output, so this comes once they have ended.
  assert.deepEqual(await closed, [130, null]);
  assert.match(lines[0] ?? '', /^\d+ %$/);
  assert.equal(lines.at(-1), 'interrupted');
});
