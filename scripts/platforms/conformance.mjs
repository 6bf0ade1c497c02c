import { spawn } from 'node:child_process';
import path from 'node:path';
import { root } from '../setup.mjs';

/**
 * @typedef {object} Program how the suites are started
 * @property {string} command
 * @property {string[]} args before the file
 * @property {Record<string, string>} [env] beside that of this process
 * @property {number} [limit] the seconds that a test may take before its process is ended. A test that hangs is
 *   a difference like any other. Default: 20
 */

/**
 * Runs the conformance suites of some backends in processes of one program.
 *
 * @param {Program} program
 * @param {readonly string[]} backends
 * @returns {Promise<import('./differences.mjs').Result[]>}
 */
export async function runConformance(program, backends) {
  /** @type {import('./differences.mjs').Result[]} */
  const results = [];
  for (const backend of backends) {
    /** @type {Map<string, import('./differences.mjs').Result>} */
    const own = new Map();
    while (!(await drive(program, backend, own)));
    results.push(...own.values());
  }
  return results;
}

/**
 * One process: as many tests as end well, and the first that does not.
 *
 * @param {Program} program
 * @param {string} backend
 * @param {Map<string, import('./differences.mjs').Result>} results by title; is added to
 * @returns {Promise<boolean>} whether all tests are done
 */
function drive({ command, args, env, limit = 20 }, backend, results) {
  return new Promise((resolve, reject) => {
    const file = path.join(root, 'test', 'conformance', 'drive.ts');
    const child = spawn(command, [...args, file, backend], {
      cwd: root,
      stdio: 'pipe',
      env: { ...process.env, ...env },
    });
    let current = '';
    let finished = false;
    let late = false;
    let output = '';
    let rest = '';
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limit * 1000);
    const take = (/** @type {string} */ line) => {
      if (!line.startsWith('@gyre ')) {
        output = `${output}${line}\n`.slice(-4000);
        return;
      }
      const { title, state, why = '' } = JSON.parse(line.slice('@gyre '.length));
      if (state === 'finished') finished = true;
      else if (state === 'begun') current = title;
      else results.set(title, { title, where: backend, state, why });
      timer.refresh();
    };
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (/** @type {string} */ chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
    });
    child.stderr.on('data', (chunk) => take(String(chunk)));
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify([...results.keys()]));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (!finished && !results.has(current)) {
        if (current === '') {
          reject(new Error(`the suites of ${backend} did not even begin under ${command}\n${output}`));
          return;
        }
        const why = late ? `did not end in ${limit} s` : `the process ended with ${code ?? signal}`;
        results.set(current, { title: current, where: backend, state: 'failed', why });
      }
      resolve(finished);
    });
  });
}
