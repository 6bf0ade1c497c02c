// npm test [-- filter ...] [-- --node-option ...]
//
// Node 20 finds no .test.ts file by itself and calls that a success, so the files are listed here, counted,
// and none at all is a failure. A filter is part of a file's path; what begins with '-' goes to node.
// GYRE_NODE=/path/to/node runs the tests under another node.
//
// What is tested on a real loop is tested twice: on the node backend, and then on the native one, where that is built. Which
// one alone says GYRE_TEST_BACKEND=node|uv. It is also what GYRE_BACKEND says to the programs among the tests.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { buildNative, whyNotNative } from './build-native.mjs';
import { runChild } from './run-child.mjs';
import { ensureDependencies, root } from './setup.mjs';

ensureDependencies();

const args = process.argv.slice(2);
const options = args.filter((arg) => arg.startsWith('-'));
const filters = args.filter((arg) => !arg.startsWith('-'));

const files = readdirSync(`${root}/test`, { recursive: true, encoding: 'utf8' })
  .map((name) => `test/${name.replaceAll('\\', '/')}`)
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .sort();

if (files.length === 0) {
  console.error(`No test file${filters.length > 0 ? ` matches ${filters.join(', ')}` : ' in test/'}.`);
  process.exit(1);
}

/** Those of which `onNode()` of test/helpers/pairs.ts or the policy makes the loops. */
const onEither = files.filter(
  (file) =>
    /^test\/(compat|entry|examples|executor)\/|^test\/(runner|start)\.test/.test(file) ||
    (/^test\/(net|process|streams)\//.test(file) &&
      readFileSync(`${root}/${file}`, 'utf8').includes('onNode(')),
);

const node = process.env.GYRE_NODE || process.execPath;
const hasOption = (/** @type {string} */ name) => options.some((option) => option.startsWith(name));
const notes = mkdtempSync(path.join(tmpdir(), 'gyre-test-'));

/**
 * @param {readonly string[]} names the files
 * @param {string} [backend] for GYRE_TEST_BACKEND and GYRE_BACKEND
 * @returns {Promise<{ code: number, totals: Map<string, number> }>} the exit code, and the numbers of the closing lines
 */
async function run(names, backend = process.env.GYRE_TEST_BACKEND ?? 'node') {
  const note = path.join(notes, `${backend}.tap`);
  const code = await runChild(
    node,
    [
      '--expose-gc',
      '--import',
      'tsx',
      // A test that hangs fails after this many milliseconds instead of holding everything up.
      ...(hasOption('--test-timeout') ? [] : ['--test-timeout=300000']),
      // One for each core: Node's own default leaves one of them to itself.
      ...(hasOption('--test-concurrency') ? [] : [`--test-concurrency=${availableParallelism()}`]),
      ...(hasOption('--test-reporter')
        ? []
        : [
            ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
            ...['--test-reporter=tap', `--test-reporter-destination=${note}`],
          ]),
      // The second run must not write over the file of the first.
      ...options.map((option) =>
        option.startsWith('--test-reporter-destination=') && names !== files
          ? `${option}.${backend}`
          : option,
      ),
      '--test',
      ...names,
    ],
    { cwd: root, env: { GYRE_BACKEND: backend, ...process.env, GYRE_TEST_BACKEND: backend } },
  );
  return { code, totals: totalsOf(note) };
}

/**
 * @param {string} note
 * @returns {Map<string, number>}
 */
function totalsOf(note) {
  if (hasOption('--test-reporter')) return new Map();
  // At its end; a test may print such lines, too.
  const lines = readFileSync(note, 'utf8').trimEnd().split('\n').slice(-8);
  return new Map(
    lines
      .map((line) => /^# (\w+) ([\d.]+)$/.exec(line))
      .flatMap((m) => (m ? [[String(m[1]), Number(m[2])]] : [])),
  );
}

// Where there is a compiler the native backend is built and tested, too; where there is none its tests say so.
const reason = whyNotNative();
if (reason === null) buildNative();
else console.log(`The native backend is not built: ${reason}.`);

console.log(`${files.length} test file${files.length === 1 ? '' : 's'}, run by ${node}`);
const first = await run(files);
process.exitCode = first.code;

/** Why it stays at that; null: once more, on the native backend. */
function whyOnce() {
  if (process.env.GYRE_TEST_BACKEND !== undefined)
    return `GYRE_TEST_BACKEND=${process.env.GYRE_TEST_BACKEND}`;
  return reason;
}

if (onEither.length > 0 && first.code < 128) {
  const once = whyOnce();
  if (once === null) await runOnNative();
  else console.log(`Not run once more on the native backend: ${once}.`);
}

async function runOnNative() {
  console.log(`\n${onEither.length} of them once more, on the native backend`);
  const second = await run(onEither, 'uv');
  process.exitCode = Math.max(first.code, second.code);
  if (first.totals.size > 0) {
    console.log('\nBoth times together:');
    for (const [name, total] of first.totals) {
      console.log(`ℹ ${name} ${total + (second.totals.get(name) ?? 0)}`);
    }
  }
  if (first.code !== 0) console.log('What fails on the node backend stands above, before the native run.');
}

rmSync(notes, { recursive: true });
