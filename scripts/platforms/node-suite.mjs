import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
        `--test-reporter=${path.join(root, 'scripts', 'platforms', 'reporter.mjs')}`,
        `--test-reporter-destination=${lines}`,
      ],
      { ...process.env, GYRE_NODE: node },
    );
    const results = resultsOf(lines);
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
 * @param {string} file of the reporter
 * @returns {import('./differences.mjs').Result[]}
 */
function resultsOf(file) {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .map(({ again, where, ...result }) => ({
      ...result,
      where: path.relative(root, where).replaceAll('\\', '/') + (again ? ' once more, on uv' : ''),
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
