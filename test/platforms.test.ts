import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { Expected, Result } from '../scripts/platforms/differences.mjs';
import { differences, expectedOf } from '../scripts/platforms/differences.mjs';
import { pageOf } from '../scripts/platforms/page.mjs';
import { keepReport, keptReport } from '../scripts/platforms/reports.mjs';
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

test('differences() is empty only if exactly the listed tests fail', () => {
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

test('pageOf() has a row for each platform, and each difference and each skipped test with its reason', () => {
  const [runtime] = runtimes;
  assert.ok(runtime);
  const results = [
    result('listed', 'failed', 'no'),
    result('fine', 'passed'),
    result('left out', 'skipped', 'no tool'),
    result('left out, too', 'skipped', 'no tool'),
  ];
  const report = { runtime, expected, date: '2031-05-06', system: 'linux x64' };
  const page = pageOf([
    { ...report, version: '1.2.3', results },
    { ...report, version: '2.0.0', results: results.slice(1) },
  ]);
  assert.match(
    page,
    /\| version \| tests \|[\s\S]*\| Node\.js \| 1\.2\.3 \| 4 \| 1 \| 2 \| 1 \|[\s\S]*\nOn linux x64\.\n/,
  );
  assert.doesNotMatch(page, /2031|no report/);
  assert.match(page, /## Differences\n\n\*\*cannot be done\*\*\n\nOn Node\.js 1:\n\n- listed \(node\)\n/);
  assert.match(
    page,
    /## Skipped tests\n\n\*\*no tool\*\*\n\nOn Node\.js 1, Node\.js 2:\n\n- left out \(node\)\n- left out, too \(node\)\n/,
  );
});

test('pageOf() tells the day of each platform if they differ, and the platforms without a report', () => {
  const [runtime, other] = runtimes;
  assert.ok(runtime && other);
  const report = { runtime, expected: [], results: [result('fine', 'passed')] };
  const page = pageOf(
    [
      { ...report, version: '1.2.3', date: '2031-05-06', system: 'linux x64' },
      { ...report, version: '2.0.0', date: '2031-05-07', system: 'linux arm64' },
    ],
    [other],
  );
  assert.match(page, /\| version \| run on \| tests \|/);
  assert.match(page, /\| 1\.2\.3 \| 2031-05-06 \| 1 \|/);
  assert.match(page, /\| 2\.0\.0 \| 2031-05-07 \| 1 \|/);
  assert.match(
    page,
    /\nOn linux x64, linux arm64\.\n\nThere is no report of Node\.js 22: `npm run platforms -- node22` makes it\.\n/,
  );
  assert.doesNotMatch(page, /\| 22/);
});

test('keptReport() returns the last report of a platform', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'gyre-reports-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const into = path.join(folder, 'made', 'when', 'needed');
  const report = {
    version: '1.2.3',
    date: '2031-05-06',
    system: 'linux x64',
    results: [result('fine', 'passed')],
  };
  assert.equal(keptReport('node24', into), null);
  keepReport('node24', report, into);
  keepReport('bun', { ...report, version: '3.0.0' }, into);
  assert.deepEqual(keptReport('node24', into), report);
  keepReport('node24', { ...report, date: '2031-05-07' }, into);
  assert.equal(keptReport('node24', into)?.date, '2031-05-07');
  assert.equal(keptReport('bun', into)?.version, '3.0.0');
});

test('each expected difference has a reason, and names a test of a backend', () => {
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
