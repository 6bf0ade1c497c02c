// Finds out from all that a test process has told how each of its files went.

import path from 'node:path';
import { root } from '../setup.mjs';

/**
 * @typedef {{ type: string, data: any }} TestEvent of node:test
 *
 * @typedef {object} Part of what a process has told, about one file
 * @property {string} file
 * @property {any[]} lines
 * @property {number} began in milliseconds since the start of the process
 *
 * @typedef {object} End of a process
 * @property {string | number} how why it was ended, the signal that ended it, or its exit code
 * @property {boolean} filtered whether the options chose among the tests of a file
 * @property {boolean} failed whether a test of any of its files failed
 */

/**
 * Splits the lines by file. The files that the process has not begun have no part.
 *
 * @param {readonly string[]} files that the process was to run, in this order
 * @param {readonly any[]} lines
 * @returns {[Part, ...Part[]]}
 */
export function partsOf(files, lines) {
  /** @type {[Part, ...Part[]]} */
  const parts = [{ file: String(files[0]), lines: [], began: 0 }];
  let begun = 0;
  for (const line of lines) {
    if (line.type === 'file' && begun++ > 0)
      parts.push({ file: String(files[begun - 1]), lines: [], began: line.at });
    parts.at(-1)?.lines.push(line);
  }
  return parts;
}

/**
 * Returns the results of the tests of a file, and at their end that of the file itself if it failed.
 *
 * @param {Part} part
 * @param {End | null} end null: the process went on with the next file
 * @returns {TestEvent[]}
 */
export function eventsOf({ file, lines }, end) {
  const tests = lines.filter(({ type }) => type.startsWith('test:'));
  const wrong = whatIsWrong(lines, end);
  return wrong === null ? tests : [...tests, failureOf(file, wrong)];
}

/**
 * @param {readonly any[]} lines
 * @param {End | null} end
 * @returns {string | null} null: nothing but what its tests say
 */
function whatIsWrong(lines, end) {
  const done = lines.find(({ type }) => type === 'done');
  const cut = end === null ? null : howItWasCut(lines, end.how, done !== undefined);
  if (cut !== null) return cut;
  const results = lines.filter(({ type }) => type === 'test:pass' || type === 'test:fail');
  if (results.length === 0 && end?.filtered !== true) return 'the file has no test';
  const code = exitCodeOf(done, results, end);
  return code === 0 ? null : `the process ended with exit code ${code}, although no test failed`;
}

/**
 * @param {{ exitCode: number } | undefined} done
 * @param {readonly any[]} results
 * @param {End | null} end
 * @returns {string | number} 0: none, or that of a failed test
 */
function exitCodeOf(done, results, end) {
  if (done !== undefined && done.exitCode !== 0 && !results.some(isFailure)) return done.exitCode;
  return end === null || end.failed ? 0 : end.how;
}

/** @param {TestEvent} event */
export function isFailure({ type }) {
  return type === 'test:fail';
}

/**
 * @param {readonly any[]} lines
 * @param {string | number} how
 * @param {boolean} isDone whether the file has ended
 * @returns {string | null} null: all tests have ended, and then the process did
 */
function howItWasCut(lines, how, isDone) {
  const during = currentTest(lines);
  const where = during === null ? '' : `, in the middle of the test "${during}"`;
  if (typeof how === 'string' && how.startsWith('SIG')) return `the process was ended by ${how}${where}`;
  if (typeof how === 'string' && during !== null)
    return `the test "${during}" ${how}: the rest of the file did not run`;
  const left = isDone ? undefined : lines.find(({ type }) => type === 'left');
  if (typeof how === 'string')
    return `the process ${how}${left === undefined ? '' : `: the file left ${left.resources.join(', ')} behind`}`;
  const isFinished = lines.some(({ type, data }) => type === 'test:plan' && data.nesting === 0);
  return isFinished ? null : `the process ended with exit code ${how} before its tests did${where}`;
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
