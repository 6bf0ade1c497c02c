// npm test [-- filter ...] [-- --node-option ...]
//
// A filter is part of a test file's path; an argument that begins with '-' goes to node. The run fails if no
// file matches, or if a file has no test. GYRE_NODE=/path/to/node runs the tests under another node.
//
// The tests of real loops run twice: on the node backend, and on the native backend where that is built.
// GYRE_TEST_BACKEND=node|uv chooses one of them. The programs among the tests get the same as GYRE_BACKEND.
//
// Files that do not disturb each other share a process, and run one after the other in it:
// scripts/test/jobs.mjs has the rule. --test-concurrency is the number of processes at a time, --test-timeout
// the milliseconds for one test; --test-reporter and --test-reporter-destination are those of Node.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, constants, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative, whyNotNative } from './build-native.mjs';
import { ensureDependencies } from './setup.mjs';
import { jobsFor, testFiles } from './test/jobs.mjs';
import { runFiles } from './test/process.mjs';
import { Report, reportersFor } from './test/report.mjs';

ensureDependencies();

const args = process.argv.slice(2);
const options = args.filter((arg) => arg.startsWith('-'));
const filters = args.filter((arg) => !arg.startsWith('-'));

/** The options for this process. */
const OWN = /^--test-(?:concurrency|timeout|reporter|reporter-destination)=(.*)$/;
/** The options that choose among the tests of a file. */
const CHOOSES = /^--test-(?:name-pattern|skip-pattern|only|shard)/;

/** @param {string} name @returns {string[]} */
const valuesOf = (name) =>
  options.flatMap((option) => (option.startsWith(`${name}=`) ? [option.slice(name.length + 1)] : []));

/**
 * @param {string} name of an option
 * @param {number} usual
 */
function numberOf(name, usual) {
  const number = Number(valuesOf(name).at(-1) ?? usual);
  if (number >= 1) return number;
  console.error(`${name} takes a number from 1 on.`);
  process.exit(1);
}

const files = testFiles(filters);
if (files.length === 0) {
  console.error(`No test file${filters.length > 0 ? ` matches ${filters.join(', ')}` : ' in test/'}.`);
  process.exit(1);
}

const settings = {
  node: process.env.GYRE_NODE || process.execPath,
  options: options.filter((option) => !OWN.test(option)),
  filtered: options.some((option) => CHOOSES.test(option)),
  // A test that hangs fails after this many milliseconds instead of holding everything up.
  timeout: numberOf('--test-timeout', 300_000),
  folder: mkdtempSync(path.join(tmpdir(), 'gyre-test-')),
};
process.on('exit', () => rmSync(settings.folder, { recursive: true, force: true }));
// Two for each processor: a test process waits for programs and timers about half of its time.
const concurrency = numberOf('--test-concurrency', 2 * availableParallelism());

// Without a compiler the tests of the native backend are skipped, and say so.
const reason = whyNotNative();
if (reason === null) buildNative();
else console.log(`The native backend is not built: ${reason}.`);

/** The reason why nothing runs once more on the native backend; null: the files that have a choice do. */
const once = process.env.GYRE_TEST_BACKEND === undefined ? reason : 'GYRE_TEST_BACKEND is set';
// No more files share a process than keep all processors busy. A choice among the tests of a file is made for
// files that have a process of their own.
const most = settings.filtered ? 1 : Math.ceil(files.length / concurrency);
const jobs = jobsFor(files, process.env.GYRE_TEST_BACKEND ?? 'node', once === null ? 'uv' : null, most);
const again = jobs.flatMap((job) => (job.again ? job.files : [])).length;
console.log(
  `${files.length} test file${files.length === 1 ? '' : 's'}` +
    `${once === null ? `, ${again} of them once more on the native backend` : ''}, run by ${settings.node}`,
);
if (once !== null) console.log(`Nothing runs once more on the native backend: ${once}.`);

spawnSync(settings.node, [fileURLToPath(new URL('typescript/transform-all.mjs', import.meta.url))], {
  stdio: 'inherit',
});

const names = valuesOf('--test-reporter');
const report = new Report(
  await reportersFor(names.length > 0 ? names : ['spec'], valuesOf('--test-reporter-destination')),
);

/** @type {Set<() => void>} each ends a process that runs */
const running = new Set();
/** @type {NodeJS.Signals | null} */
let interrupted = null;
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => {
    interrupted ??= signal;
    for (const stop of running) stop();
  });
}

/** Runs jobs one after the other until there are none. */
async function work() {
  for (let job = jobs.shift(); job !== undefined && interrupted === null; job = jobs.shift()) {
    const { run, stop } = runFiles(job, settings);
    running.add(stop);
    const { outcomes, left } = await run;
    running.delete(stop);
    for (const outcome of outcomes) report.add(outcome);
    if (left.length > 0) jobs.unshift({ ...job, files: left });
  }
}

await Promise.all(Array.from({ length: concurrency }, work));
await report.end();
for (const { file, backend } of report.failed) console.error(`failed: ${file} on ${backend}`);
if (interrupted !== null) process.exitCode = 128 + constants.signals[interrupted];
else process.exitCode = report.failed.length > 0 ? 1 : 0;
