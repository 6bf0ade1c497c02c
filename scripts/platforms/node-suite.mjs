import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../setup.mjs';

/**
 * Runs every test under one Node.
 *
 * @param {string} name
 * @param {string} node its program
 * @returns {Promise<import('./differences.mjs').Result[]>}
 */
export async function runSuite(name, node) {
  const folder = mkdtempSync(path.join(tmpdir(), `gyre-${name}-`));
  const lines = path.join(folder, 'results.jsonl');
  try {
    const { output, code } = await run(
      process.execPath,
      [
        path.join(root, 'scripts', 'test.mjs'),
        // As many as there are processors: node:test leaves one free. And a file that hangs must not hold up everything.
        `--test-concurrency=${availableParallelism()}`,
        '--test-timeout=180000',
        `--test-reporter=${path.join(root, 'scripts', 'platforms', 'reporter.mjs')}`,
        `--test-reporter-destination=${lines}`,
      ],
      { ...process.env, GYRE_NODE: node },
    );
    // Where there is a native backend, a second run has a file of its own.
    const results = [...resultsOf(lines, ''), ...resultsOf(`${lines}.uv`, ' once more, on uv')];
    // 1 is that of tests that failed. With anything else they did not all run.
    const failed = results.some(({ state }) => state === 'failed');
    if (results.length === 0 || code !== (failed ? 1 : 0)) {
      throw new Error(`the tests of ${name} ended with ${code}:\n${output}`);
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} file of the reporter; where there is no native backend, there is no second one
 * @param {string} run
 * @returns {import('./differences.mjs').Result[]}
 */
function resultsOf(file, run) {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .map((result) => ({
      ...result,
      where: path.relative(root, result.where).replaceAll('\\', '/') + run,
    }));
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ output: string, code: number | null }>} the last of its output
 */
function run(command, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const take = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk).slice(-10_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', reject);
    child.once('close', (code) => resolve({ output, code }));
  });
}
