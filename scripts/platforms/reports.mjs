import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../setup.mjs';

/**
 * @typedef {object} Kept what a run on one runtime has found
 * @property {string} version
 * @property {string} date of the run: a day, in UTC
 * @property {string} system on which it ran
 * @property {readonly import('./differences.mjs').Result[]} results
 */

/** Git ignores it: docs/platforms.md is what is committed. */
const folder = path.join(root, 'scripts', 'platforms', 'reports');

/**
 * Keeps a report in place of the last one, so that one runtime can be run again without the others.
 *
 * @param {string} name of the runtime
 * @param {Kept} report
 * @param {string} [into]
 */
export function keepReport(name, report, into = folder) {
  mkdirSync(into, { recursive: true });
  writeFileSync(path.join(into, `${name}.json`), `${JSON.stringify(report)}\n`);
}

/**
 * @param {string} name of the runtime
 * @param {string} [from]
 * @returns {Kept | null} null: it was never run here
 */
export function keptReport(name, from = folder) {
  const file = path.join(from, `${name}.json`);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}
