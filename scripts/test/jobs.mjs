// Which test files run, on which backends, and in which order.

import { readdirSync, readFileSync } from 'node:fs';
import { root } from '../setup.mjs';

/**
 * The files that take longest. They begin first, so that no long file runs alone at the end. This is for
 * speed only: an entry that is missing or out of date does no harm.
 */
const SLOW = [
  'test/test-script',
  'test/conformance/',
  'test/tasks/heap',
  'test/executor/',
  'test/net/tls.test',
  'test/net/pipes.test',
  'test/runner',
  'test/process/',
  'test/sync/heap',
  'test/backend/uv/',
  'test/fuzz/',
  'test/compat/',
  'test/net/sockets-ending',
  'test/examples/supervisor',
];

/**
 * Returns the test files whose path contains one of `filters`, or all test files.
 *
 * @param {readonly string[]} filters
 * @param {string} [folder] relative to the root
 * @returns {string[]} relative to the root
 */
export function testFiles(filters, folder = 'test') {
  return readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
    .sort();
}

/**
 * Says whether `onNode()` of test/helpers/pairs.ts, or the policy, makes the loops of a file.
 *
 * @param {string} file
 */
function isOnEither(file) {
  return (
    /^test\/(compat|entry|examples|executor)\/|^test\/(runner|start)\.test/.test(file) ||
    (/^test\/(net|process|streams)\//.test(file) &&
      readFileSync(`${root}/${file}`, 'utf8').includes('onNode('))
  );
}

/**
 * Plans the test processes.
 *
 * @param {readonly string[]} files
 * @param {string} backend the backend of the first run
 * @param {string | null} other the backend on which the files that have a choice run once more
 * @returns {import('./process.mjs').Job[]} in the order in which they begin
 */
export function jobsFor(files, backend, other) {
  const jobs = files.map((file) => ({ file, backend, again: false }));
  if (other !== null)
    jobs.push(...files.filter(isOnEither).map((file) => ({ file, backend: other, again: true })));
  return jobs.sort((a, b) => rank(a.file) - rank(b.file));
}

/** @param {string} file */
function rank(file) {
  const at = SLOW.findIndex((beginning) => file.startsWith(beginning));
  return at < 0 ? SLOW.length : at;
}
