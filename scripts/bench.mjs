// npm run bench: builds the package, the native backend and the benchmarks, fetches Bun, then runs them. The
// benchmarks use the package that users install.

import { rmSync } from 'node:fs';
import path from 'node:path';
import { build } from './build.mjs';
import { buildNative, whyNotNative } from './build-native.mjs';
import { fetchRuntime, runtimes } from './platforms/runtimes.mjs';
import { runChild } from './run-child.mjs';
import { root } from './setup.mjs';

const built = path.join(root, 'bench', 'results', 'build');
const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const options = process.argv.slice(2);

/** @param {...string} args */
async function node(...args) {
  const code = await runChild(process.execPath, args);
  if (code !== 0) process.exit(code);
}

/** @param {string} name of an option @returns {string | undefined} its value; empty where it stands alone */
function option(name) {
  const at = options.findIndex((one) => one === name || one.startsWith(`${name}=`));
  if (at < 0) return undefined;
  return options[at]?.includes('=') ? options[at]?.slice(name.length + 1) : (options[at + 1] ?? '');
}

/** @returns {boolean} whether Bun may be asked for, and is not named on the command line */
function needsBun() {
  const peers = option('--peers');
  if (['--bun', '--list', '--help', '--page'].some((name) => option(name) !== undefined)) return false;
  return peers === undefined || peers.split(',').some((peer) => peer.startsWith('bun'));
}

/**
 * @returns {Promise<string[]>} the option that names Bun; none when it cannot be had: run.ts has a sentence
 *   for that
 */
async function bunOption() {
  const bun = runtimes.find(({ name }) => name === 'bun');
  if (bun === undefined || !needsBun()) return [];
  try {
    const { command } = await fetchRuntime(bun);
    return ['--bun', command];
  } catch (error) {
    console.error(/** @type {Error} */ (error).message);
    return [];
  }
}

if (option('--page') === undefined) {
  await build();
  // Where it cannot be built, the benchmarks say so, in gyre's own words.
  if (whyNotNative() === null) buildNative();
}
rmSync(built, { recursive: true, force: true });
await node(tsc, '-p', path.join(root, 'bench', 'tsconfig.build.json'));
await node(path.join(built, 'run.js'), ...options, ...(await bunOption()));
