import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BEYOND, FOUNDING, FUNCTIONS, functionsIn } from './functions.ts';
import { conformanceTable } from './table.ts';
import { withoutNative } from './targets.ts';

// The page has a column for the native backend: without that it cannot be made anew.
const skip = withoutNative ?? false;

test('docs/conformance.md is up to date (node scripts/conformance-table.mjs)', { skip }, () => {
  const page = readFileSync(new URL('../../docs/conformance.md', import.meta.url), 'utf8').replaceAll(
    '\r\n',
    '\n',
  );
  const lines = page.split('\n');
  const expected = conformanceTable().split('\n');
  const at = expected.findIndex((line, i) => line !== lines[i]);
  assert.ok(at < 0, `line ${at + 1} must be: ${expected[at]}`);
  assert.equal(lines.length, expected.length);
});

test('the table has a line for each function of the founding document', () => {
  const table = conformanceTable();
  for (const { functions } of [...FOUNDING, ...BEYOND]) {
    for (const [python, gyre] of functions)
      assert.ok(table.includes(`| \`${python}\` | \`${gyre}\` | `), python);
  }
  assert.equal(FOUNDING.flatMap(({ functions }) => functions).length, 30);
});

test('the functions of a title are those that it names with parentheses', () => {
  assert.deepEqual(functionsIn('call_soon() and Server.close() and call_soon()'), [
    'call_soon()',
    'Server.close()',
  ]);
  assert.throws(() => functionsIn('no function at all'), /names no function/);
  assert.throws(() => functionsIn('call_never() does'), /no function of functions\.ts: call_never\(\)/);
  assert.ok(FUNCTIONS.has('run_forever()'));
});
