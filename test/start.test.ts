/** `npm start`, as a user runs it: a process of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../scripts/start.mjs', import.meta.url));

test('npm start runs every part of the tour, and exits with 0', async () => {
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output);
  const last = Number(/([\d.]+) ms {2}the loop is closed/.exec(output)?.[1]);
  assert.ok(last < 30_000, `the tour took ${last} ms:\n${output}`);
  for (const part of [
    'Linus: hello from net',
    'Ada read',
    'This tour runs on the ',
    '30 ms timer',
    'ms late at the median',
    'the quick task is done',
    'with an await of its own',
    'TimeoutError',
    'CancelledError: not needed any more',
    'paused',
    '10000 lines there and back',
    'nothing was left',
  ]) {
    assert.ok(output.includes(part), `no “${part}” in:\n${output}`);
  }
});

test('npm start -- --serve keeps a chat server up until SIGINT, which shuts it down cleanly', async () => {
  const child = spawn(process.execPath, [script, '--serve'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PORT: '0' },
  });
  let output = '';
  const port = await new Promise<number>((resolve) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const match = /chat on 127\.0\.0\.1:(\d+)/.exec(output);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  const client = connect(port, '127.0.0.1');
  let read = '';
  client.on('data', (chunk) => {
    read += chunk;
    if (read.endsWith('name?\n')) client.write('Nobody\n');
  });
  while (!output.includes('Nobody came in')) await once(child.stdout, 'data');
  child.kill('SIGINT');
  const [[code]] = await Promise.all([once(child, 'close'), once(client, 'close')]);
  assert.equal(code, 0, output);
  assert.match(read, /the server is closing/);
  assert.match(output, /closed\n$/);
});
