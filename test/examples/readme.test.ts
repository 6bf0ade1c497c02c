import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

test('README.md links each program of examples/', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const programs = readdirSync(new URL('../../examples/', import.meta.url));
  assert.ok(programs.length > 5);
  for (const name of programs)
    assert.ok(readme.includes(`(examples/${name})`), `README.md has no link to ${name}`);
});
