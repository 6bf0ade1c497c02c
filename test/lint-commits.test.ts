import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOf } from '../scripts/lint/commits.mjs';

test('the lint of commits accepts an imperative subject without a period', () => {
  for (const subject of ['Add a test', 'Process signals in order', 'Speed up the queue', 'x'.repeat(72)]) {
    assert.equal(faultOf(subject.replace(/^x/, 'X')), null, subject);
  }
});

test('the lint of commits refuses long subjects, periods, lower case and other forms of the verb', () => {
  const faults: [string, RegExp][] = [
    [`X${'x'.repeat(72)}`, /73 characters/],
    ['Add a test.', /period/],
    ['add a test', /capital/],
    ['Added a test', /"Added"/],
    ['Fixes a bug', /"Fixes"/],
    ['Adding a test', /"Adding"/],
  ];
  for (const [subject, fault] of faults) assert.match(faultOf(subject) ?? '', fault);
});
