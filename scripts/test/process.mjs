// Runs a test file in a process, and watches it. `node --test` would take a file without a test for a
// success, would not name the test that hangs or kills the process, and on Node 24 waits for ever for a test
// that hangs.

import { spawn } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../setup.mjs';

/**
 * @typedef {{ type: string, data: any }} TestEvent of node:test
 *
 * @typedef {object} Job
 * @property {string} file relative to the root
 * @property {string} backend for GYRE_TEST_BACKEND
 * @property {boolean} again the file runs on the other backend, too
 *
 * @typedef {object} Settings
 * @property {string} node its program
 * @property {readonly string[]} options of Node
 * @property {boolean} filtered whether the options choose among the tests of a file
 * @property {number} timeout of a test, in milliseconds
 * @property {string} folder for temporary files
 *
 * @typedef {object} Outcome
 * @property {Job} job
 * @property {TestEvent[]} events of the tests, and at the end of the file itself if it failed
 * @property {string} output of the process, on both of its streams
 * @property {number} milliseconds
 */

/** @param {string} name */
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Milliseconds between two looks at the progress of a process. */
const LOOK_EVERY = 500;
/** Milliseconds that a process may need to start on a very busy machine. */
const STARTING = 120_000;
/** Milliseconds between SIGTERM and SIGKILL: a process ends the servers that it has started. */
const GRACE = 5000;
/**
 * Milliseconds for the last output of a process that has ended. A child that the process left behind may hold
 * the pipe for ever.
 */
const LAST_OUTPUT = 1000;

/**
 * Starts the tests of a file.
 *
 * @param {Job} job
 * @param {Settings} settings
 * @returns {{ outcome: Promise<Outcome>, stop: () => void }}
 */
export function runFile(job, settings) {
  const began = performance.now();
  const events = path.join(settings.folder, `${job.file.replaceAll('/', '~')}.${job.backend}.jsonl`);
  const child = spawn(settings.node, [...argumentsFor(settings), path.join(root, job.file)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environmentFor(job, events),
  });
  /** @type {Buffer[]} */
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk));
  /** @type {string | null} */
  let ended = null;
  const stop = (/** @type {string} */ why) => {
    if (ended !== null) return;
    ended = why;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), GRACE).unref();
  };
  const late = `did not end in ${settings.timeout / 1000} s: the rest of the file did not run`;
  const watch = watchFile(events, settings.timeout, () => stop(late));
  const outcome = endOf(child).then((end) => {
    clearInterval(watch);
    const lines = linesOf(events);
    rmSync(events, { force: true });
    const tests = lines.filter(({ type }) => type.startsWith('test:'));
    const wrong = whatIsWrong(lines, ended ?? end, settings.filtered);
    return {
      job,
      events: wrong === null ? tests : [...tests, failureOf(job.file, wrong)],
      output: Buffer.concat(output).toString(),
      milliseconds: performance.now() - began,
    };
  });
  return { outcome, stop: () => stop('was interrupted') };
}

/** @param {Settings} settings */
function argumentsFor({ options }) {
  return [
    ...['--expose-gc', '--expose-internals', '--import', here('../typescript/register.mjs')],
    ...['--import', here('child.mjs')],
    ...[`--test-reporter=${here('reporter.mjs')}`, ...options],
  ];
}

/**
 * @param {Job} job
 * @param {string} events
 * @returns {NodeJS.ProcessEnv}
 */
function environmentFor({ backend }, events) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return { GYRE_BACKEND: backend, ...env, GYRE_TEST_BACKEND: backend, GYRE_TEST_EVENTS: events };
}

/**
 * Calls back when a file has not grown for too long: no test began or ended.
 *
 * @param {string} file
 * @param {number} limit in milliseconds
 * @param {() => void} callback
 */
function watchFile(file, limit, callback) {
  let size = -1;
  // Counted in looks: the time for which the whole machine sleeps is no time that a test takes.
  let looks = 0;
  return setInterval(() => {
    const now = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    looks = now === size ? looks + 1 : 0;
    if (looks * LOOK_EVERY > (now > 0 ? limit : Math.max(limit, STARTING))) callback();
    size = now;
  }, LOOK_EVERY);
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<string | number>} its exit code, or the signal that ended it
 */
function endOf(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const end = () => resolve(signal ?? Number(code));
      child.once('close', end);
      setTimeout(end, LAST_OUTPUT);
    });
  });
}

/**
 * @param {string} file
 * @returns {any[]}
 */
function linesOf(file) {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  // A process that was killed leaves its last line unfinished.
  return lines.slice(0, -1).map((line) => JSON.parse(line));
}

/**
 * @param {readonly any[]} lines all that the process has told
 * @param {string | number} end why it was ended, the signal that ended it, or its exit code
 * @param {boolean} filtered
 * @returns {string | null} null: nothing but what its tests say
 */
function whatIsWrong(lines, end, filtered) {
  const during = currentTest(lines);
  const where = during === null ? '' : `, in the middle of the test "${during}"`;
  if (typeof end === 'string' && end.startsWith('SIG')) return `the process was ended by ${end}${where}`;
  if (typeof end === 'string') return `${during === null ? 'the process' : `the test "${during}"`} ${end}`;
  const isFinished = lines.some(({ type, data }) => type === 'test:plan' && data.nesting === 0);
  if (!isFinished) return `the process ended with exit code ${end} before its tests did${where}`;
  const results = lines.filter(({ type }) => type === 'test:pass' || type === 'test:fail');
  if (results.length === 0 && !filtered) return 'the file has no test';
  if (end !== 0 && !results.some(({ type }) => type === 'test:fail'))
    return `the process ended with exit code ${end}, although no test failed`;
  return null;
}

/**
 * @param {readonly any[]} lines
 * @returns {string | null} the test that began last of those that have not ended
 */
function currentTest(lines) {
  /** @type {string[]} */
  const running = [];
  for (const { type, name } of lines) {
    if (type === 'begin') running.push(name);
    else if (type === 'end') running.splice(running.lastIndexOf(name), 1);
  }
  return running.at(-1) ?? null;
}

/**
 * @param {string} file
 * @param {string} message
 * @returns {TestEvent}
 */
function failureOf(file, message) {
  const error = { message, code: 'ERR_TEST_FAILURE', failureType: 'testCodeFailure', cause: message };
  return {
    type: 'test:fail',
    data: {
      ...{ name: file, file: path.join(root, file), line: 1, column: 1, nesting: 0, testNumber: 0 },
      details: { duration_ms: 0, type: 'test', error },
    },
  };
}
