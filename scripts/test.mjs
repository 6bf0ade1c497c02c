// npm test [-- filter ...] [-- --node-option ...]
//
// Node 20 finds no .test.ts file by itself and calls that a success, so the files are listed here, counted,
// and none at all is a failure. A filter is part of a file's path; what begins with '-' goes to node.
// GYRE_NODE=/path/to/node runs the tests under another node.

import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
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

// Where there is a compiler the native backend is built and tested, too; where there is none its tests say so.
const reason = whyNotNative();
if (reason === null) buildNative();
else console.log(`The native backend is not built: ${reason}.`);

const node = process.env.GYRE_NODE || process.execPath;
console.log(`${files.length} test file${files.length === 1 ? '' : 's'}, run by ${node}`);

process.exitCode = await runChild(
  node,
  [
    '--expose-gc',
    '--import',
    'tsx',
    // A test that hangs fails after this many milliseconds instead of holding everything up.
    ...(options.some((option) => option.startsWith('--test-timeout')) ? [] : ['--test-timeout=300000']),
    // One for each core: Node's own default leaves one of them to itself.
    ...(options.some((option) => option.startsWith('--test-concurrency'))
      ? []
      : [`--test-concurrency=${availableParallelism()}`]),
    ...(options.some((option) => option.startsWith('--test-reporter')) ? [] : ['--test-reporter=spec']),
    ...options,
    '--test',
    ...files,
  ],
  { cwd: root },
);
