// Bundles program.mjs with each bundler, as docs/bundling.md says, and runs the results in folders without
// packages, and beside the native package.

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { installedRuntime } from '../platforms/runtimes.mjs';
import { root } from '../setup.mjs';

/**
 * A program that a bundler makes.
 *
 * @typedef {object} Bundle
 * @property {string} title
 * @property {string | null} lacks why it cannot be made here
 * @property {(project: string, folder: string) => Promise<string[] | string>} make writes the program to the
 *   folder, and returns the command that starts it, or why there is none
 * @property {boolean} [executable] a single executable has no process pool
 */

const EVERYTHING = ['sleep', 'tcp', 'tls', 'subprocess', 'threads', 'processes'];
const node = process.env.GYRE_NODE || process.execPath;
const bun = installedRuntime('bun');
const deno = installedRuntime('deno');

/** @type {Bundle[]} */
const bundles = [
  {
    title: 'esbuild, ES module',
    lacks: null,
    make: async (project, folder) => [
      node,
      await byEsbuild(project, path.join(folder, 'program.mjs'), 'esm'),
    ],
  },
  {
    title: 'esbuild, CommonJS',
    lacks: null,
    make: async (project, folder) => [
      node,
      await byEsbuild(project, path.join(folder, 'program.cjs'), 'cjs'),
    ],
  },
  { title: 'rollup', lacks: null, make: byRollup },
  { title: 'webpack', lacks: null, make: byWebpack },
  {
    title: 'bun build',
    lacks: bun === null ? 'Bun is not installed' : null,
    make: async (project, folder) => {
      const file = path.join(folder, 'program.mjs');
      await ran([String(bun), 'build', 'program.mjs', '--target=node', `--outfile=${file}`], project);
      return [node, file];
    },
  },
  {
    title: 'bun build, run by Bun',
    lacks: bun === null ? 'Bun is not installed' : null,
    make: async (project, folder) => {
      const file = path.join(folder, 'program.mjs');
      await ran([String(bun), 'build', 'program.mjs', '--target=bun', `--outfile=${file}`], project);
      return [String(bun), 'run', file];
    },
  },
  {
    title: 'bun build --compile',
    lacks: bun === null ? 'Bun is not installed' : null,
    executable: true,
    make: async (project, folder) => {
      const file = path.join(folder, 'program');
      await ran([String(bun), 'build', '--compile', 'program.mjs', `--outfile=${file}`], project);
      return [file];
    },
  },
  {
    title: 'a bundle of esbuild, run by Deno',
    lacks: deno === null ? 'Deno is not installed' : null,
    make: async (project, folder) => {
      const file = await byEsbuild(project, path.join(folder, 'program.mjs'), 'esm');
      return [String(deno), 'run', '--allow-all', '--no-check', '--cached-only', file];
    },
  },
  {
    title: 'deno compile',
    lacks: deno === null ? 'Deno is not installed' : null,
    executable: true,
    make: async (project, folder) => {
      const file = path.join(folder, 'program');
      const options = ['--allow-all', '--no-check', '--output', file];
      try {
        await ran([String(deno), 'compile', ...options, 'program.mjs'], project);
      } catch (error) {
        if (!/denort.*error sending request/s.test(String(error))) throw error;
        return 'deno compile could not download its runtime, denort';
      }
      return [file];
    },
  },
  {
    title: 'a single executable of Node',
    lacks: builderOfSea() === null ? 'it needs Node 25.5 or later (--build-sea)' : null,
    executable: true,
    make: async (project, folder) => {
      await byEsbuild(project, path.join(folder, 'program.cjs'), 'cjs');
      const config = { main: 'program.cjs', output: 'program', disableExperimentalSEAWarning: true };
      writeFileSync(path.join(folder, 'sea.json'), JSON.stringify(config));
      await ran([String(builderOfSea()), '--build-sea', 'sea.json'], folder);
      return [path.join(folder, 'program')];
    },
  },
];

/**
 * @param {string} project
 * @param {string} outfile
 * @param {'esm' | 'cjs'} format
 */
async function byEsbuild(project, outfile, format) {
  const esbuild = path.join(root, 'node_modules', 'esbuild', 'bin', 'esbuild');
  await ran(
    [esbuild, 'program.mjs', '--bundle', '--platform=node', `--format=${format}`, `--outfile=${outfile}`],
    project,
  );
  return outfile;
}

/** @type {Bundle['make']} */
async function byRollup(project, folder) {
  const { rollup } = await import('rollup');
  const { nodeResolve } = await import('@rollup/plugin-node-resolve');
  const bundle = await rollup({
    input: path.join(project, 'program.mjs'),
    external: /^node:/,
    plugins: [nodeResolve({ exportConditions: ['node'] })],
  });
  const file = path.join(folder, 'program.mjs');
  await bundle.write({ file, format: 'es' });
  await bundle.close();
  return [node, file];
}

/** @type {Bundle['make']} */
async function byWebpack(project, folder) {
  const { default: webpack } = await import('webpack');
  const compiler = webpack({
    mode: 'production',
    target: 'node',
    context: project,
    entry: './program.mjs',
    output: { path: folder, filename: 'program.cjs' },
  });
  /** @type {import('webpack').Stats | undefined} */
  const stats = await new Promise((resolve, reject) => {
    compiler?.run((error, result) => (error ? reject(error) : resolve(result)));
  });
  const { errors = [], warnings = [] } = stats?.toJson({ all: false, errors: true, warnings: true }) ?? {};
  const complaints = [...errors, ...warnings].map(({ message }) => message);
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
  return [node, path.join(folder, 'program.cjs')];
}

/** Returns a Node that builds single executables. */
function builderOfSea() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 25 || (major === 25 && minor >= 5) ? process.execPath : installedRuntime('node26');
}

/**
 * @param {string[]} command
 * @param {string} cwd
 * @returns {Promise<string>} its output
 */
async function ran([program = '', ...args], cwd) {
  const certificate = (/** @type {string} */ name) =>
    readFileSync(path.join(root, 'test', 'helpers', 'certificates', `${name}.pem`), 'utf8');
  const env = {
    ...process.env,
    CERTIFICATE: certificate('self-signed'),
    KEY: certificate('self-signed-key'),
    NODE: node,
  };
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
  const [output, errors] = await Promise.all(
    [child.stdout, child.stderr].map(async (stream) => {
      const chunks = await stream.toArray();
      return Buffer.concat(chunks).toString();
    }),
  );
  const code = child.exitCode ?? (await new Promise((resolve) => child.once('close', resolve)));
  if (code !== 0) throw new Error(`${[program, ...args].join(' ')} exited with ${code}\n${output}${errors}`);
  return String(output);
}

/**
 * @param {string} project where gyre is installed
 * @param {string} folder for the results
 * @param {string | null} native the folder with the native package, if there is one
 */
export async function checkBundles(project, folder, native) {
  cpSync(path.join(root, 'scripts', 'package', 'program.mjs'), path.join(project, 'program.mjs'));
  const waiting = [...bundles.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [i, bundle] = next;
      if (bundle.lacks !== null) console.log(`skip  ${bundle.title}: ${bundle.lacks}`);
      else await checkBundle(bundle, project, path.join(folder, String(i)), native);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

/**
 * @param {Bundle} bundle
 * @param {string} project
 * @param {string} folder
 * @param {string | null} native
 */
async function checkBundle({ title, make, executable = false }, project, folder, native) {
  mkdirSync(folder, { recursive: true });
  const command = await make(project, folder);
  if (typeof command === 'string') {
    console.log(`skip  ${title}: ${command}`);
    return;
  }
  const worked = EVERYTHING.map((part) =>
    executable && part === 'processes' ? 'processes ERR_UNSUPPORTED' : part,
  );
  const said = (await ran(command, folder)).trim();
  expectSame(title, said, `node: ${worked.join(', ')}`);
  const onNode = command[0] === node || title.includes('of Node');
  if (native !== null && onNode) {
    const { name } = JSON.parse(readFileSync(path.join(native, 'package', 'package.json'), 'utf8'));
    cpSync(path.join(native, 'package'), path.join(folder, 'node_modules', name), { recursive: true });
    expectSame(title, (await ran(command, folder)).trim(), `uv: ${worked.join(', ')}`);
  }
  console.log(`ok    ${title}${native !== null && onNode ? ', with and without the native package' : ''}`);
}

/**
 * @param {string} title
 * @param {string} said
 * @param {string} expected
 */
function expectSame(title, said, expected) {
  if (said !== expected) throw new Error(`${title} said "${said}" instead of "${expected}"`);
}
