// npm run pack:main, npm run pack:native: makes the tarballs that are published, in dist-packages/ or the
// given folder; `npm run pack:native -- FOLDER linux-arm64` that of another system.
//
// They are packed from a staging folder, because the package.json of a release differs from the repository's.
// It names the native packages as optional dependencies, which npm cannot install before they are published,
// and it has no scripts.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { buildNative, targets, whyNotNative } from './build-native.mjs';
import { npmCommand, root } from './setup.mjs';

const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/**
 * Packs the package `gyre`.
 *
 * @param {string} destination a folder
 * @returns {Promise<{ filename: string, size: number, files: { path: string }[] }>} npm's facts about the
 *   tarball
 */
export async function packMain(destination) {
  await build();
  const { devDependencies: _dev, scripts: _scripts, allowScripts: _allow, ...published } = manifest;
  published.optionalDependencies = Object.fromEntries(
    targets.map((target) => [target.package, manifest.version]),
  );
  return pack(destination, published, manifest.files);
}

/**
 * Packs the native package of a system.
 *
 * @param {string} destination a folder
 * @param {string} [system] default: this one
 * @returns {{ filename: string, size: number, files: { path: string }[] } | string} or the reason why it
 *   cannot be made here
 */
export function packNative(destination, system = `${process.platform}-${process.arch}`) {
  const target = targets.find(({ name }) => name === system);
  if (target === undefined) return `no native package is made for ${system}`;
  const reason = whyNotNative(system);
  if (reason !== null) return reason;
  const published = {
    name: target.package,
    version: manifest.version,
    description: `The native backend of gyre for ${target.os} ${target.cpu} (${target.libc})`,
    license: manifest.license,
    author: manifest.author,
    ...addresses(),
    os: [target.os],
    cpu: [target.cpu],
    libc: [target.libc],
    engines: manifest.engines,
    main: 'gyre.node',
    files: ['gyre.node'],
  };
  return pack(
    destination,
    published,
    ['LICENSE'],
    [buildNative('release', system), path.join(root, 'native', 'README.md')],
  );
}

/** Returns the fields of package.json that name the repository. Provenance needs them in each package. */
function addresses() {
  const { repository, bugs, homepage } = manifest;
  const inFolder = repository && { ...repository, directory: 'native' };
  return { repository: inFolder, bugs, homepage };
}

/** The page of `gyre --web`. */
const PAGE = 'src/cli/web/page.html';

/**
 * Compares the files of the package `gyre` with what they should be. Each file of `dist/` has a source map,
 * and each declaration its file of `src/`, so that debuggers and "Go to definition" find the TypeScript
 * sources.
 *
 * @param {string[]} names the paths in the tarball
 * @returns {string[]} the faults
 */
export function faultsOfMain(names) {
  const declarations = names.filter((name) => name.endsWith('.d.ts'));
  const needed = [
    ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
    ...Object.values(manifest.exports).flatMap(targetsOf),
    ...Object.values(manifest.bin),
    PAGE,
    ...names.filter((name) => /\.(js|d\.ts)$/.test(name)).map((name) => `${name}.map`),
    ...declarations.map((name) => name.replace(/^dist\/(.+)\.d\.ts$/, 'src/$1.ts')),
  ];
  const allowed =
    /^(dist\/.+\.(js|d\.ts)(\.map)?|src\/.+\.(ts|html)|examples\/((frameworks|stuck|watching)\/)?[\w-]+\.ts|package\.json|(README|CHANGELOG)\.md|LICENSE)$/;
  return faultsOf('gyre', names, needed, allowed);
}

/**
 * @param {string | Record<string, string>} entry of `exports`
 * @returns {string[]} the paths of its files
 */
function targetsOf(entry) {
  const targets = typeof entry === 'string' ? [entry] : Object.values(entry);
  return targets.map((target) => target.replace(/^\.\//, ''));
}

/**
 * Compares the files of the native package with what they should be.
 *
 * @param {string[]} names the paths in the tarball
 * @returns {string[]} the faults
 */
export function faultsOfNative(names) {
  const needed = ['gyre.node', 'package.json', 'README.md', 'LICENSE'];
  return faultsOf('the native package', names, needed, /^(gyre\.node|package\.json|README\.md|LICENSE)$/);
}

/**
 * @param {string} title
 * @param {string[]} names
 * @param {string[]} needed
 * @param {RegExp} allowed
 * @returns {string[]}
 */
function faultsOf(title, names, needed, allowed) {
  const missing = [...new Set(needed)].filter((name) => !names.includes(name));
  const foreign = names.filter((name) => !allowed.test(name));
  const faults = [];
  if (missing.length > 0) faults.push(`${title} lacks ${listed(missing)}`);
  if (foreign.length > 0) faults.push(`${title} has files that do not belong into it: ${listed(foreign)}`);
  return faults;
}

/** @param {string[]} names */
function listed(names) {
  const rest = names.length - 5;
  return names.slice(0, 5).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/**
 * @param {string} destination
 * @param {object} published its package.json
 * @param {string[]} files of the repository
 * @param {string[]} others further files, put beside the package.json
 * @returns {{ filename: string, size: number, files: { path: string }[] }}
 */
function pack(destination, published, files, others = []) {
  const staging = mkdtempSync(path.join(tmpdir(), 'gyre-pack-'));
  try {
    for (const name of files) cpSync(path.join(root, name), path.join(staging, name), { recursive: true });
    for (const file of others) cpSync(file, path.join(staging, path.basename(file)));
    writeFileSync(path.join(staging, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
    mkdirSync(destination, { recursive: true });
    const [npm = '', ...args] = npmCommand();
    const done = spawnSync(
      npm,
      [...args, 'pack', '--json', '--loglevel=error', `--pack-destination=${destination}`],
      {
        cwd: staging,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        shell: process.platform === 'win32',
      },
    );
    if (done.status !== 0) throw new Error(`npm pack failed:\n${done.stdout}${done.stderr}`);
    return JSON.parse(done.stdout)[0];
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what = 'main', destination = path.join(root, 'dist-packages'), system] = process.argv.slice(2);
  const packed = what === 'native' ? packNative(destination, system) : await packMain(destination);
  if (typeof packed === 'string') {
    console.error(packed);
    process.exit(1);
  }
  console.log(
    `${path.join(destination, packed.filename)}: ${packed.files.length} files, ${packed.size} bytes`,
  );
}
