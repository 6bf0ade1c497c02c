// npm run build:native: compiles native/src into native/build/gyre.node with the C compiler and the headers
// of this machine. Nothing is downloaded. One binary serves every Node from 20 on: it uses N-API, and asks
// libuv for the sizes of its structures.
//
//   --target=linux-arm64   the file for another system: native/build/linux-arm64/gyre.node
//   --faults     a build in which tests can make a chosen allocation fail: native/build/gyre-faults.node
//   --sanitize   the same with AddressSanitizer and UndefinedBehaviorSanitizer: native/build/gyre-asan.node

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { root } from './setup.mjs';

const sources = path.join(root, 'native', 'src');
const folder = path.join(root, 'native', 'build');

/**
 * @typedef {object} Target a system that has a native package
 * @property {string} name of the platform and the processor, as Node has them
 * @property {string} package npm installs the one that fits
 * @property {string} os
 * @property {string} cpu
 * @property {string} libc
 * @property {string} cross the compiler of Debian that builds for it elsewhere
 */

/** @type {readonly Target[]} */
export const targets = [
  { cpu: 'x64', cross: 'x86_64-linux-gnu-gcc' },
  { cpu: 'arm64', cross: 'aarch64-linux-gnu-gcc' },
].map(({ cpu, cross }) => ({
  ...{ name: `linux-${cpu}`, package: `@gyre/uv-linux-${cpu}-gnu`, os: 'linux', cpu, libc: 'glibc' },
  cross,
}));

/** The name of the system that this is. */
const HERE = `${process.platform}-${process.arch}`;

/** @param {string} target */
function compilerFor(target) {
  return target === HERE ? 'cc' : (targets.find(({ name }) => name === target)?.cross ?? 'cc');
}

/** @type {Record<'release' | 'faults' | 'sanitize', { file: string, flags: string[] }>} */
const builds = {
  // The published file does not name the folder in which it was built.
  release: { file: 'gyre.node', flags: ['-O2', '-DNDEBUG', `-ffile-prefix-map=${root}=.`] },
  faults: { file: 'gyre-faults.node', flags: ['-O1', '-DGYRE_TEST_FAULTS'] },
  sanitize: {
    file: 'gyre-asan.node',
    flags: [
      ...['-O1', '-DGYRE_TEST_FAULTS', '-fno-omit-frame-pointer'],
      ...['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
    ],
  },
};

/**
 * @returns {string[]} the folders that hold node_api.h and uv.h; empty if one of them is missing
 */
function includeFolders() {
  const prefix = path.join(path.dirname(process.execPath), '..');
  const folders = [process.env.npm_config_nodedir, prefix, '/usr/local', '/usr']
    .filter((one) => one !== undefined && one !== '')
    .map((one) => path.join(String(one), 'include', 'node'));
  const found = ['node_api.h', 'uv.h'].map((header) =>
    [...folders, '/usr/include'].find((one) => existsSync(path.join(one, header))),
  );
  return found.every((one) => one !== undefined) ? [...new Set(found.map(String))] : [];
}

/**
 * @returns {string[]} the flags with which the native TLS engine is built; none without the headers of OpenSSL
 */
function tlsFlags() {
  const found = [...includeFolders(), '/usr/include'].some((one) =>
    existsSync(path.join(one, 'openssl', 'ssl.h')),
  );
  if (!found)
    console.error('There are no headers of OpenSSL (openssl/ssl.h): built without the native TLS engine.');
  return found ? ['-DGYRE_OPENSSL'] : [];
}

/**
 * @param {string} [target] the name of the system that it is for
 * @returns {string | null} why the native part cannot be built here; null if it can
 */
export function whyNotNative(target = HERE) {
  if (process.platform !== 'linux')
    return `the native backend is built on Linux only, and this is ${process.platform}`;
  const compiler = compilerFor(target);
  if (spawnSync(compiler, ['--version']).status !== 0)
    return `there is no C compiler${target === HERE ? '' : ` for ${target}`} (${compiler})`;
  if (includeFolders().length === 0) return 'there are no headers of Node (node_api.h, uv.h)';
  return null;
}

/**
 * Builds the native part, if a source file is newer than the last build.
 *
 * @param {keyof typeof builds} [kind]
 * @param {string} [system] the name of the system that it is for
 * @returns {string} the file
 */
export function buildNative(kind = 'release', system = HERE) {
  const { file: name, flags } = builds[kind];
  const target = path.join(folder, system === HERE ? '' : system, name);
  const files = readdirSync(sources).map((name) => path.join(sources, name));
  const newest = Math.max(
    ...[...files, fileURLToPath(import.meta.url)].map((file) => statSync(file).mtimeMs),
  );
  if (existsSync(target) && statSync(target).mtimeMs > newest) return target;
  mkdirSync(path.dirname(target), { recursive: true });
  // Two test runs may build at the same time. Each builds into its own file, and then moves it into place.
  const temporary = `${target}.${process.pid}`;
  const done = spawnSync(
    compilerFor(system),
    [
      ...['-std=c11', '-D_GNU_SOURCE', '-DNAPI_VERSION=8', '-g', '-Wall', '-Wextra', '-Werror'],
      ...['-fPIC', '-shared', '-fvisibility=hidden', ...flags],
      ...tlsFlags(),
      ...includeFolders().map((one) => `-I${one}`),
      ...['-o', temporary],
      ...files.filter((file) => file.endsWith('.c')),
    ],
    { encoding: 'utf8' },
  );
  if (done.status !== 0) throw new Error(`the native backend could not be built:\n${done.stderr}`);
  renameSync(temporary, target);
  return target;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { target: { type: 'string' }, faults: { type: 'boolean' }, sanitize: { type: 'boolean' } },
  });
  const known = values.target === undefined || targets.some(({ name }) => name === values.target);
  const reason = known
    ? whyNotNative(values.target)
    : `--target takes ${targets.map(({ name }) => name).join(' or ')}, not ${values.target}`;
  if (reason !== null) {
    console.error(reason);
    process.exit(1);
  }
  const kind = values.sanitize ? 'sanitize' : values.faults ? 'faults' : 'release';
  console.log(path.relative(root, buildNative(kind, values.target)));
}
