import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSkipped } from './section.ts';
import { suites } from './suites.ts';
import { targets, withoutNative } from './targets.ts';

if (withoutNative !== null) test('the native backend (uv) is built', { skip: withoutNative }, () => {});

for (const target of targets) {
  for (const suite of suites) suite(target);

  test(`each title on the skip list of ${target.backend} belongs to a test, and no two tests have the same title`, () => {
    const titles: string[] = [];
    for (const suite of suites) suite({ ...target, record: ({ title }) => titles.push(title) });
    assert.equal(new Set(titles).size, titles.length);
    for (const { reason, tests } of target.skip) {
      assert.notEqual(reason, '');
      for (const title of tests) assert.ok(titles.includes(title), `no test has the title "${title}"`);
    }
  });
}

test('runSkipped() skips a test that fails, and throws for one that passes', async () => {
  let skipped = 0;
  const skip = (): void => {
    skipped++;
  };
  await runSkipped('title', () => Promise.reject(new Error('cannot be done')), skip);
  assert.equal(skipped, 1);
  await assert.rejects(
    runSkipped('title', () => Promise.resolve(), skip),
    /"title" is on the skip list, but passes/,
  );
  assert.equal(skipped, 1);
});
