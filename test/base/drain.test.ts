import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tsArguments } from '../helpers/typescript.ts';

const conformance = fileURLToPath(new URL('../conformance/run.test.ts', import.meta.url));

// The order of the turn is the contract's, however the host drains. Elsewhere these suites run with the
// function that the host has.
test('with GYRE_DRAIN=host, where only the host drains, every backend keeps the order of callbacks, tasks and timers', () => {
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
