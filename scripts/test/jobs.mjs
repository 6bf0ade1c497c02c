// Which test files run, on which backends, which of them share a process, and in which order.

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
 * The text of a file that needs a process of its own, because it changes or measures what the whole process
 * has: hooks around all tests, the process object, descriptors, memory, time, globals and threads. Any other
 * file gets one with a comment that it "needs a process of its own".
 */
const OWN_PROCESS = new RegExp(
  [
    '^(before|after)(Each)?\\(',
    'process\\.(on|once|off|emit|exit|reallyExit|chdir|umask|report|std(in|out|err)|nextTick|hrtime)\\b',
    'process\\.(getActive|listener|remove|memoryUsage|cpuUsage|resourceUsage|exitCode|execArgv)',
    'process\\.env(\\.\\w+|\\[\\w+\\]) (\\?\\?)?=[^=]|delete process\\.env',
    '/proc/self|heapUsed|busyPart|takeAllDescriptors|setEventLoop|globalThis|node:worker_threads|tsWorker',
    'mock\\.(module|method\\(globalThis|timers)',
    'needs a process of its own',
  ].join('|'),
  'm',
);

/** The most files of a process. More would save little, and delay the report of the first of them. */
const MOST = 10;

/**
 * Says whether `onNode()` of test/helpers/pairs.ts, or the policy, makes the loops of a file.
 *
 * @param {string} file
 */
function isOnEither(file) {
  return (
    /^test\/(compat|entry|examples)\/|^test\/(executor\/keep-alive|runner|start)\.test/.test(file) ||
    (/^test\/(executor|net|process|streams|inspect|workers)\//.test(file) && textOf(file).includes('onNode('))
  );
}

/** @param {string} file */
function textOf(file) {
  return readFileSync(`${root}/${file}`, 'utf8');
}

/**
 * Plans the test processes.
 *
 * @param {readonly string[]} files
 * @param {string} backend the backend of the first run
 * @param {string | null} other the backend on which the files that have a choice run once more
 * @param {number} most the number of files that may share a process
 * @returns {import('./process.mjs').Job[]} in the order in which they begin
 */
export function jobsFor(files, backend, other, most) {
  const either = other === null ? [] : files.filter(isOnEither);
  const jobs = [
    ...grouped(files, most).map((group) => ({ files: group, backend, again: false })),
    ...grouped(either, most).map((group) => ({ files: group, backend: String(other), again: true })),
  ];
  return jobs.sort((a, b) => rank(a.files) - rank(b.files));
}

/**
 * @param {readonly string[]} files
 * @param {number} most
 * @returns {string[][]} the files of each process
 */
function grouped(files, most) {
  const shares = (/** @type {string} */ file) => slowness(file) < 0 && !OWN_PROCESS.test(textOf(file));
  const groups = files.filter((file) => !shares(file)).map((file) => [file]);
  const sharing = files.filter(shares);
  const count = Math.ceil(sharing.length / Math.min(most, MOST));
  // Groups of equal size: a short last group would save nothing.
  for (let i = 0; i < count; i++)
    groups.push(sharing.slice((sharing.length * i) / count, (sharing.length * (i + 1)) / count));
  return groups;
}

/** @param {string} file @returns {number} its index in `SLOW`, or -1 */
function slowness(file) {
  return SLOW.findIndex((beginning) => file.startsWith(beginning));
}

/** @param {readonly string[]} files of a process */
function rank(files) {
  const at = slowness(String(files[0]));
  if (at >= 0) return at;
  return files.length > 1 ? SLOW.length : SLOW.length + 1;
}
