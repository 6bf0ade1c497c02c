import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tsArguments } from '../helpers/typescript.ts';

const program = fileURLToPath(new URL('./drain.child.ts', import.meta.url));

// The order of a turn is the same however the host drains. Other tests use the host's own drain function.
test('every backend keeps the order of callbacks, tasks and timers when only the host drains (GYRE_DRAIN=host)', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, tsArguments(program), {
    encoding: 'utf8',
    env: { ...process.env, GYRE_DRAIN: 'host' },
  });
  assert.equal(stderr, '');
  assert.equal(status, 0);
  const [way, ...lines] = stdout.trimEnd().split('\n');
  assert.equal(way, 'host');
  const results = lines.map((line) => JSON.parse(line) as { title: string; failure: string | null });
  assert.deepEqual(
    results.filter(({ failure }) => failure !== null),
    [],
  );
  assert.ok(results.length > 100, `the suites have ${results.length} tests`);
});
