import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tsArguments } from '../helpers/typescript.ts';

const conformance = fileURLToPath(new URL('../conformance/run.test.ts', import.meta.url));

// The order of a turn is the same however the host drains. Other tests use the host's own drain function.
test('every backend keeps the order of callbacks, tasks and timers when only the host drains (GYRE_DRAIN=host)', () => {
  const suites =
    'Run an event loop|Calls|Delayed calls|Futures and tasks|Stopping|Fairness|Several loops in one thread|Exceptions|Context|Closing';
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--test-reporter=tap', `--test-name-pattern=^(${suites}) \\(`, ...tsArguments(conformance)],
    { encoding: 'utf8', env: { ...process.env, GYRE_DRAIN: 'host', NODE_TEST_CONTEXT: undefined } },
  );
  assert.equal(stderr, '');
  assert.equal(
    status,
    0,
    stdout
      .split('\n')
      .filter((line) => line.includes('not ok'))
      .join('\n'),
  );
  assert.ok(Number(/^# pass (\d+)$/m.exec(stdout)?.[1]) > 100, 'the suites have run');
});
