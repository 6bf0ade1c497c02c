// npm run platforms [-- name ...]
//
// Runs the tests on every runtime that gyre supports, each fetched from the npm registry: the whole suite on
// the Nodes, the conformance suites of the portable backends on Bun and Deno, and of all backends on a Node
// for arm64 under an emulator. Writes docs/platforms.md, and fails when a runtime differs in any way that
// scripts/platforms/expected.json does not list, or no longer differs in one that it does. With names
// (node20 bun ...) only those run, and the page has the others as they were when they ran last: each report
// is kept, in scripts/platforms/reports/.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { runConformance } from './platforms/conformance.mjs';
import { differences, expectedOf } from './platforms/differences.mjs';
import { emulated, whyNotEmulated } from './platforms/emulated.mjs';
import { runSuite } from './platforms/node-suite.mjs';
import { pageOf } from './platforms/page.mjs';
import { keepReport, keptReport } from './platforms/reports.mjs';
import { fetchRuntime, runtimes } from './platforms/runtimes.mjs';
import { ensureDependencies, root } from './setup.mjs';

ensureDependencies();

/** The options with which Node runs the suites. */
const TYPESCRIPT = ['--expose-gc', '--expose-internals', '--import', './scripts/typescript/register.mjs'];
const names = process.argv.slice(2);
const unknown = names.filter((name) => !runtimes.some((runtime) => runtime.name === name));
if (unknown.length > 0) {
  console.error(
    `No such platform: ${unknown.join(', ')}. There are ${runtimes.map(({ name }) => name).join(', ')}.`,
  );
  process.exit(2);
}

/**
 * @param {import('./platforms/runtimes.mjs').Runtime} runtime
 * @param {string} command its program
 */
function run({ kind, name, args }, command) {
  if (kind === 'node') return runSuite(name, command);
  if (kind === 'other') return runConformance({ command, args }, ['node', 'sim']);
  // An emulator is slow, above all where a test starts programs.
  return runConformance({ ...emulated(command), args: TYPESCRIPT, limit: 200 }, ['node', 'uv', 'sim']);
}

let wrong = 0;
for (const runtime of runtimes) {
  if (names.length > 0 && !names.includes(runtime.name)) continue;
  const reason = runtime.kind === 'emulated' ? whyNotEmulated() : null;
  if (reason !== null) {
    console.log(`${runtime.title}: skipped, ${reason}`);
    continue;
  }
  const began = performance.now();
  const date = new Date().toISOString().slice(0, 10);
  const { command, version } = await fetchRuntime(runtime);
  process.stdout.write(`${runtime.title} ${version} ... `);
  const results = await run(runtime, command);
  const found = differences(results, expectedOf(runtime.name));
  const count = (/** @type {string} */ state) => results.filter((result) => result.state === state).length;
  console.log(
    `${results.length} tests: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped ` +
      `(${((performance.now() - began) / 1000).toFixed(0)} s)`,
  );
  for (const line of found) console.error(`  ${line}`);
  wrong += found.length;
  keepReport(runtime.name, { version, date, system: `${process.platform} ${process.arch}`, results });
}

/** @type {import('./platforms/page.mjs').Report[]} */
const reports = [];
/** @type {import('./platforms/runtimes.mjs').Runtime[]} */
const missing = [];
for (const runtime of runtimes) {
  const kept = keptReport(runtime.name);
  if (kept === null) missing.push(runtime);
  else reports.push({ runtime, expected: expectedOf(runtime.name), ...kept });
}
writeFileSync(path.join(root, 'docs', 'platforms.md'), pageOf(reports, missing));
console.log('docs/platforms.md: written');
if (missing.length > 0) console.log(`Never run here: ${missing.map(({ name }) => name).join(', ')}`);
if (wrong > 0) console.error(`${wrong} differences that scripts/platforms/expected.json does not have right`);
process.exitCode = wrong > 0 ? 1 : 0;
