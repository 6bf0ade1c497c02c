// Runs test files in a process, and watches it. `node --test` would take a file without a test for a
// success, would not name the test that hangs or kills the process, and on Node 24 waits for ever for a test
// that hangs.

import { spawn } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../setup.mjs';
import { SEPARATOR } from './protocol.mjs';
import { eventsOf, isFailure, partsOf } from './verdict.mjs';

/**
 * @typedef {object} Job
 * @property {readonly string[]} files relative to the root
 * @property {string} backend for GYRE_TEST_BACKEND
 * @property {boolean} again the files run on the other backend, too
 *
 * @typedef {object} Settings
 * @property {string} node its program
 * @property {readonly string[]} options of Node
 * @property {boolean} filtered whether the options choose among the tests of a file
 * @property {number} timeout of a test, in milliseconds
 * @property {string} folder for temporary files
 *
 * @typedef {object} Outcome
 * @property {string} file
 * @property {string} backend
 * @property {boolean} again
 * @property {import('./verdict.mjs').TestEvent[]} events of the tests, and at the end of the file itself if it
 *   failed
 * @property {string} output of the process while it ran the file, on both of its streams
 * @property {number} milliseconds
 *
 * @typedef {object} Run
 * @property {Outcome[]} outcomes
 * @property {string[]} left the files that did not run, because the process ended before
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
 * Starts the tests of some files.
 *
 * @param {Job} job
 * @param {Settings} settings
 * @returns {{ run: Promise<Run>, stop: () => void }}
 */
export function runFiles(job, settings) {
  const began = performance.now();
  const events = path.join(settings.folder, `${job.files[0]?.replaceAll('/', '~')}.${job.backend}.jsonl`);
  const child = spawn(settings.node, argumentsFor(job, settings), {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environmentFor(job, events),
  });
  const output = outputByFile(job.files.length, [child.stdout, child.stderr]);
  /** @type {string | null} */
  let ended = null;
  const stop = (/** @type {string} */ why) => {
    if (ended !== null) return;
    ended = why;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), GRACE).unref();
  };
  const watch = watchFile(events, settings.timeout, () =>
    stop(`did not end in ${settings.timeout / 1000} s`),
  );
  const run = endOf(child).then((how) => {
    clearInterval(watch);
    const lines = linesOf(events);
    rmSync(events, { force: true });
    const parts = partsOf(job.files, lines);
    const end = { how: ended ?? how, filtered: settings.filtered, failed: lines.some(isFailure) };
    const ends = [...parts.slice(1).map(({ began }) => began), performance.now() - began];
    const outcomes = parts.map((part, i) => ({
      ...{ file: part.file, backend: job.backend, again: job.again },
      events: eventsOf(part, i < parts.length - 1 ? null : end),
      output: Buffer.concat(output[i] ?? []).toString(),
      milliseconds: Number(ends[i]) - part.began,
    }));
    return { outcomes, left: job.files.slice(parts.length) };
  });
  return { run, stop: () => stop('was interrupted') };
}

/**
 * A single file is the program of its process. Options that choose among its tests would leave out the test
 * that `files.mjs` adds.
 *
 * @param {Job} job
 * @param {Settings} settings
 */
function argumentsFor({ files }, { options }) {
  return [
    ...['--expose-gc', '--expose-internals', '--import', here('../typescript/register.mjs')],
    ...['--import', here('child.mjs')],
    ...[`--test-reporter=${here('reporter.mjs')}`, ...options],
    ...(files.length === 1 ? [] : [here('files.mjs')]),
    ...files.map((file) => path.join(root, file)),
  ];
}

/**
 * @param {Job} job
 * @param {string} events
 * @returns {NodeJS.ProcessEnv}
 */
function environmentFor({ backend }, events) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  // On a busy machine a program of a test may rest for a second, and must print nothing for it.
  const options = `${env.NODE_OPTIONS ?? ''} --disable-warning=GYRE_SLOW_CALLBACK`.trim();
  return {
    GYRE_BACKEND: backend,
    ...env,
    NODE_OPTIONS: options,
    GYRE_TEST_BACKEND: backend,
    GYRE_TEST_EVENTS: events,
  };
}

/**
 * @param {number} files
 * @param {readonly import('node:stream').Readable[]} streams
 * @returns {Buffer[][]} the chunks of each file, which follow
 */
function outputByFile(files, streams) {
  /** @type {Buffer[][]} */
  const output = Array.from({ length: files }, () => []);
  for (const stream of streams) {
    let current = 0;
    stream.on('data', (/** @type {Buffer} */ chunk) => {
      let from = 0;
      for (let to = chunk.indexOf(SEPARATOR); files > 1 && to >= 0; to = chunk.indexOf(SEPARATOR, from)) {
        output[current++]?.push(chunk.subarray(from, to));
        from = to + 1;
      }
      output[Math.min(current, files - 1)]?.push(chunk.subarray(from));
    });
  }
  return output;
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
