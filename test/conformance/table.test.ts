import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BEYOND, FUNCTIONS, functionsIn, REFERENCE } from './functions.ts';
import { suites } from './suites.ts';
import { conformanceTable, fileOf } from './table.ts';
import { withoutNative } from './targets.ts';

// The page has a column for the native backend, so making it needs that backend.
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

test('the conformance table has a row for each function of asyncio’s event loop reference', () => {
  const table = conformanceTable();
  for (const { functions } of [...REFERENCE, ...BEYOND]) {
    for (const [python, gyre] of functions)
      assert.ok(table.includes(`| \`${python}\` | \`${gyre}\` | `), python);
  }
  assert.equal(REFERENCE.flatMap(({ functions }) => functions).length, 30);
});

test('every suite of the conformance table is in the file that its function is named after', () => {
  for (const suite of suites) {
    const file = fileOf(suite);
    assert.ok(existsSync(new URL(file, import.meta.url)), `${suite.name}: there is no ${file}`);
    assert.ok(conformanceTable().includes(`(../test/conformance/${file})`), `no row links to ${file}`);
  }
});

test('functionsIn() returns the functions that a title names with parentheses', () => {
  assert.deepEqual(functionsIn('call_soon() and Server.close() and call_soon()'), [
    'call_soon()',
    'Server.close()',
  ]);
  assert.throws(() => functionsIn('no function at all'), /names no function/);
  assert.throws(() => functionsIn('call_never() does'), /no function of functions\.ts: call_never\(\)/);
  assert.ok(FUNCTIONS.has('run_forever()'));
});
