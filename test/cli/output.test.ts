import assert from 'node:assert/strict';
import { test } from 'node:test';
import { print } from '../../src/cli/output.ts';

test('a name with control characters of a terminal is printed without them', () => {
  const written: string[] = [];
  const code = print({ write: (text) => void written.push(text) }, ['a \u001b[31mtask', '\u009b2J']);
  assert.equal(written.join(''), 'a ?[31mtask\n?2J\n');
  assert.equal(code, 0);
});
