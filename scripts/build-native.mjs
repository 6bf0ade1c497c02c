// npm run build:native: compiles native/src into native/build/gyre.node with the C compiler and the headers
// of this machine. Nothing is downloaded. One binary serves every Node from 20 on: it uses N-API, and asks
// libuv for the sizes of its structures.
//
//   --faults     a build in which tests can make a chosen allocation fail: native/build/gyre-faults.node
//   --sanitize   the same with AddressSanitizer and UndefinedBehaviorSanitizer: native/build/gyre-asan.node

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup.mjs';

const sources = path.join(root, 'native', 'src');
const folder = path.join(root, 'native', 'build');

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
 * @returns {string | null} why the native part cannot be built here; null if it can
 */
export function whyNotNative() {
  if (process.platform !== 'linux')
    return `the native backend is built on Linux only, and this is ${process.platform}`;
  if (spawnSync('cc', ['--version']).status !== 0) return 'there is no C compiler (cc)';
  if (includeFolders().length === 0) return 'there are no headers of Node (node_api.h, uv.h)';
  return null;
}

/**
 * Builds the native part, if a source file is newer than the last build.
 *
 * @param {keyof typeof builds} [kind]
 * @returns {string} the file
 */
export function buildNative(kind = 'release') {
  const { file: name, flags } = builds[kind];
  const target = path.join(folder, name);
  const files = readdirSync(sources).map((name) => path.join(sources, name));
  const newest = Math.max(
    ...[...files, fileURLToPath(import.meta.url)].map((file) => statSync(file).mtimeMs),
  );
  if (existsSync(target) && statSync(target).mtimeMs > newest) return target;
  mkdirSync(folder, { recursive: true });
  // Two test runs may build at the same time. Each builds into its own file, and then moves it into place.
  const temporary = `${target}.${process.pid}`;
  const done = spawnSync(
    'cc',
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
  const reason = whyNotNative();
  if (reason !== null) {
    console.error(reason);
    process.exit(1);
  }
  const kind = process.argv.includes('--sanitize')
    ? 'sanitize'
    : process.argv.includes('--faults')
      ? 'faults'
      : 'release';
  console.log(path.relative(root, buildNative(kind)));
}
