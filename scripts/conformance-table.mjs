// node scripts/conformance-table.mjs [--check]: makes docs/conformance.md from the suites in
// test/conformance/. With --check nothing is written, and the exit code says whether the page is up to date.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureDependencies, root } from './setup.mjs';

ensureDependencies();

// The suites are TypeScript.
const { register } = await import('tsx/esm/api');
register();
const { conformanceTable } = await import('../test/conformance/table.ts');

const page = path.join(root, 'docs', 'conformance.md');
const text = conformanceTable();
const current = existsSync(page) ? readFileSync(page, 'utf8').replaceAll('\r\n', '\n') : '';

if (process.argv.includes('--check')) {
  if (current !== text) {
    console.error('docs/conformance.md is out of date: node scripts/conformance-table.mjs');
    process.exitCode = 1;
  }
} else {
  mkdirSync(path.dirname(page), { recursive: true });
  writeFileSync(page, text);
  console.log(`docs/conformance.md: ${current === text ? 'unchanged' : 'written'}`);
}
