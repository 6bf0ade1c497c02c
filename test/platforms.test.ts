import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expected, Result } from '../scripts/platforms/differences.mjs';
import { differences, expectedOf } from '../scripts/platforms/differences.mjs';
import { pageOf } from '../scripts/platforms/page.mjs';
import { runtimes } from '../scripts/platforms/runtimes.mjs';
import { suites } from './conformance/suites.ts';
import { targets } from './conformance/targets.ts';

const result = (title: string, state: Result['state'], why: string = ''): Result => ({
  title,
  where: 'node',
  state,
  why,
});
const expected: Expected[] = [{ reason: 'cannot be done', backends: ['node'], tests: ['listed'] }];

test('a platform differs as expected only when what is listed fails, and nothing else', () => {
  const listed = result('listed', 'failed', 'no');
  assert.deepEqual(
    differences([listed, result('other', 'passed'), result('third', 'skipped')], expected),
    [],
  );
  assert.deepEqual(differences([listed, result('other', 'failed', 'first line\nsecond')], expected), [
    'failed: other (node): first line',
  ]);
  assert.deepEqual(differences([result('listed', 'passed')], expected), [
    'passed, and is listed as failing: listed (node)',
  ]);
  assert.deepEqual(differences([result('other', 'passed')], expected), [
    'listed, and there is no such test: listed (node)',
  ]);
  // For another backend it is not listed.
  assert.equal(differences([listed, { ...listed, where: 'sim' }], expected).length, 1);
});

test('the page has a row for each platform, and each difference and each skipped test with its reason', () => {
  const [runtime] = runtimes;
  assert.ok(runtime);
  const results = [
    result('listed', 'failed', 'no'),
    result('fine', 'passed'),
    result('left out', 'skipped', 'no tool'),
    result('left out, too', 'skipped', 'no tool'),
  ];
  const page = pageOf([
    { runtime, version: '1.2.3', results, expected },
    { runtime, version: '2.0.0', results: results.slice(1), expected },
  ]);
  assert.match(page, /\| Node\.js \| 1\.2\.3 \| 4 \| 1 \| 2 \| 1 \|/);
  assert.match(page, /different\n\n\*\*cannot be done\*\*\n\nOn Node\.js 1:\n\n- listed \(node\)\n/);
  assert.match(
    page,
    /skipped\n\n\*\*no tool\*\*\n\nOn Node\.js 1, Node\.js 2:\n\n- left out \(node\)\n- left out, too \(node\)\n/,
  );
});

test('what is listed as different has a reason, and is a test that a backend has', () => {
  for (const { name } of runtimes) {
    for (const { reason, backends, tests } of expectedOf(name)) {
      assert.notEqual(reason, '');
      for (const backend of backends) {
        const titles: string[] = [];
        const target = targets.find((one) => one.backend === backend);
        assert.ok(target, `${name}: no backend ${backend}`);
        for (const suite of suites) suite({ ...target, record: ({ title }) => titles.push(title) });
        for (const title of tests)
          assert.ok(titles.includes(title), `${name}: no test "${title}" of ${backend}`);
      }
    }
  }
});
