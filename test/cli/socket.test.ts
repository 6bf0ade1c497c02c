/** `gyre` on a program that imports `gyre/inspect`, and whose inspector is never opened. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SocketProbe } from '../../src/cli/attach/socket-probe.ts';
import { socketFolder, socketPath } from '../../src/cli/socket/socket-path.ts';
import { run } from '../../src/index.ts';
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

test('gyre finds a socket without a snapshot, and only if the process with this number listens there', {
  skip: process.platform !== 'linux' && 'the command reads /proc',
}, async () => {
  const asked: string[] = [];
  const server = createServer((connection) => {
    connection.on('data', (data) => {
      asked.push(String(data));
      connection.write('{"values":[]}\n');
    });
  });
  mkdirSync(socketFolder(), { mode: 0o700, recursive: true });
  await using idle = await start('idle');
  for (const [pid, found] of [
    [process.pid, true],
    [idle.pid, false],
  ] as const) {
    rmSync(socketPath(pid, 0), { force: true });
    await once(server.listen(socketPath(pid, 0)), 'listening');
    assert.equal((await run(() => SocketProbe.find(pid))) !== undefined, found);
    await new Promise((closed) => server.close(closed));
  }
  assert.deepEqual(asked, ['{"method":"ping"}\n']);
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
