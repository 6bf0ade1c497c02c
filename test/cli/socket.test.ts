/** `gyre` on a program that imports `gyre/inspect`, and whose inspector is never opened. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { socketFolder, socketPath } from '../../src/cli/socket/socket-path.ts';
import { gyre, start } from './programs.ts';

const entry = fileURLToPath(new URL('../../src/entry/inspect.ts', import.meta.url));

test('a program that imports gyre/inspect answers on a socket that only its user can open', async () => {
  await using program = await start('idle', { flags: ['--import', entry], args: ['worker'] });
  const file = socketPath(program.pid, 0);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(socketFolder()).mode & 0o777, 0o700);
  const { text } = await gyre('ps', String(program.pid));
  assert.match(text, /fetch-a/);
  assert.equal(program.errors(), '');
});

test('the socket is removed when the program ends by itself', async () => {
  const program = await start('idle', { flags: ['--import', entry] });
  program.child.kill('SIGINT');
  await new Promise((resolve) => program.child.once('exit', resolve));
  assert.equal(statSync(socketPath(program.pid, 0), { throwIfNoEntry: false }), undefined);
});

test('gyre uses the inspector if a callback holds the loop of a program with a socket', async () => {
  await using program = await start('held', { flags: ['--inspect-port=0', '--import', entry] });
  const { text } = await gyre('ps', String(program.pid));
  assert.match(text, /its main thread runs\n +reindex/);
});
