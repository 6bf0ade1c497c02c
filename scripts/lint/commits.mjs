// node scripts/lint/commits.mjs [RANGE]: checks the subjects of commits against the rules of CONTRIBUTING.md.
//
// The range is git's: `origin/main..HEAD` for a branch. Without one it checks the last commit.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { root } from '../setup.mjs';

const LONGEST = 72;
/** Verbs in the imperative that look like another form. */
const IMPERATIVE = new Set([
  'Address',
  'Bring',
  'Embed',
  'Feed',
  'Focus',
  'Pass',
  'Press',
  'Process',
  'Speed',
]);
const OTHER_FORM = /^[A-Z][a-z]+(?:ed|ing|s)$/;

/**
 * Returns the fault of a subject, or null.
 *
 * @param {string} subject
 * @returns {string | null}
 */
export function faultOf(subject) {
  const [first = ''] = subject.split(' ');
  if (subject.length > LONGEST) return `has ${subject.length} characters; at most ${LONGEST} are allowed`;
  if (subject.endsWith('.')) return 'ends with a period';
  if (!/^[A-Z]/.test(subject)) return 'does not begin with a capital letter';
  if (OTHER_FORM.test(first) && !IMPERATIVE.has(first)) return `begins with "${first}": use the imperative`;
  return null;
}

/** @param {...string} args */
function git(...args) {
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' });
}

function main() {
  const log = git('log', '--no-merges', '--format=%h %s', process.argv[2] ?? '-1');
  if (log.status !== 0) {
    console.log(`commit subjects: skipped, because git has no history here (${log.stderr.trim()})`);
    return;
  }
  for (const line of log.stdout.split('\n').filter((each) => each !== '')) {
    const [hash] = line.split(' ', 1);
    const fault = faultOf(line.slice(/** @type {string} */ (hash).length + 1));
    if (fault === null) continue;
    console.error(`${line}\n  the subject ${fault}`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
