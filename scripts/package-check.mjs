// npm run package:check: what a user would install is packed, examined, installed into an empty project, run and
// type checked there. GYRE_NODE=/path/to/node runs the program under another node.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from './build.mjs';
import { npmCommand, root } from './setup.mjs';

/** @type {Record<string, string>} */
const programs = {
  'program.mjs': `
    import assert from 'node:assert/strict';
    import * as gyre from 'gyre';
    import * as lowlevel from 'gyre/lowlevel';
    import * as sim from 'gyre/sim';
    import * as testing from 'gyre/testing';
    import manifest from 'gyre/package.json' with { type: 'json' };

    assert.equal(typeof lowlevel, 'object');
    assert.equal(typeof testing, 'object');
    assert.equal(await gyre.run(async () => await gyre.sleep(0.001, 'slept')), 'slept');

    const loop = new sim.SimulatedEventLoop();
    const before = loop.time();
    await loop.runUntilComplete(async () => {
      await gyre.sleep(3600);
    });
    assert.ok(loop.time() - before >= 3600);
    loop.close();
    console.log(\`gyre \${manifest.version} ok on node \${process.version}\`);
  `,
  'consumer.mts': `
    import { gather, run, sleep } from 'gyre';
    import type * as lowlevel from 'gyre/lowlevel';
    import { SimulatedEventLoop } from 'gyre/sim';
    import type * as testing from 'gyre/testing';

    export const both: [number, string] = await run(async () => {
      const [a, b] = await gather(sleep(0, 1), sleep(0, 'two'));
      return [a, b] as [number, string];
    });
    export const loop = new SimulatedEventLoop();
    export const seconds: number = loop.time();
    // @ts-expect-error: a delay is a number of seconds
    sleep('1');
    export type { lowlevel, testing };
  `,
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      target: 'es2022',
      lib: ['es2022', 'esnext.disposable'],
      module: 'nodenext',
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      // What is checked here is the package's own declarations, so they are not skipped.
      skipLibCheck: false,
    },
    files: ['consumer.mts'],
  }),
};

const installScripts = [
  'preinstall',
  'install',
  'postinstall',
  'prepublish',
  'preprepare',
  'prepare',
  'postprepare',
];
const node = process.env.GYRE_NODE || process.execPath;
const temporary = mkdtempSync(path.join(tmpdir(), 'gyre-package-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));

/**
 * Runs a command to its end and answers its output. When it fails, shows all it printed and ends this process.
 *
 * @param {string} title
 * @param {readonly string[]} command
 * @param {string} cwd
 * @returns {string}
 */
function step(title, [program = '', ...args], cwd) {
  const done = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    shell: process.platform === 'win32' && program.endsWith('.cmd'),
  });
  if (done.status !== 0) {
    fail(`${title}\n${done.stdout ?? ''}${done.stderr ?? ''}${done.error ?? ''}`);
  }
  console.log(`ok    ${title}`);
  return done.stdout;
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`FAIL  ${message}`);
  process.exit(1);
}

/**
 * @param {string} name
 * @returns {string} the file that a development tool starts with
 */
function tool(name) {
  const folder = path.join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  return path.join(folder, typeof bin === 'string' ? bin : String(Object.values(bin)[0]));
}

await build();

const packed = step(
  'npm pack',
  [
    ...npmCommand(),
    'pack',
    '--json',
    '--ignore-scripts',
    '--loglevel=error',
    `--pack-destination=${temporary}`,
  ],
  root,
);
/** @type {{ filename: string, size: number, files: { path: string }[] }} */
const tarball = JSON.parse(packed)[0];
const archive = path.join(temporary, tarball.filename);
const names = tarball.files.map((file) => file.path);
const allowed = /^(dist\/.+\.(js|d\.ts)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
const foreign = names.filter((name) => !allowed.test(name));
if (foreign.length > 0) fail(`files that do not belong into the package: ${foreign.join(', ')}`);
for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md']) {
  if (!names.includes(name)) fail(`the package has no ${name}`);
}
const untyped = names.filter((name) => /\.js$/.test(name) && !names.includes(name.replace(/\.js$/, '.d.ts')));
if (untyped.length > 0) fail(`no declarations for ${untyped.join(', ')}`);
console.log(`ok    ${names.length} files, ${(tarball.size / 1024).toFixed(1)} KiB packed`);

step('publint', [process.execPath, tool('publint'), 'run', archive, '--strict'], root);
step(
  'attw --profile esm-only',
  [
    process.execPath,
    tool('@arethetypeswrong/cli'),
    archive,
    '--profile',
    'esm-only',
    '--no-definitely-typed',
  ],
  root,
);

const project = path.join(temporary, 'project');
mkdirSync(project);
writeFileSync(
  path.join(project, 'package.json'),
  '{ "name": "consumer", "private": true, "type": "module" }\n',
);
for (const [name, text] of Object.entries(programs)) writeFileSync(path.join(project, name), text);
step(
  'installed into an empty project, offline, without scripts',
  [
    ...npmCommand(),
    'install',
    '--ignore-scripts',
    '--offline',
    '--no-audit',
    '--no-fund',
    '--no-save',
    archive,
  ],
  project,
);

const installed = path.join(project, 'node_modules', 'gyre');
const manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'));
for (const name of installScripts) {
  if (manifest.scripts?.[name] !== undefined) fail(`the package runs a script when it is installed: ${name}`);
}
// npm compiles whatever has a binding.gyp, with no script that says so.
if (names.some((name) => name.endsWith('.gyp'))) fail('the package has a .gyp file');
if (Object.keys(manifest.dependencies ?? {}).length > 0) fail('the package has runtime dependencies');

const said = step(`a program that imports every entry, run by ${node}`, [node, 'program.mjs'], project);
process.stdout.write(`      ${said}`);

for (const name of ['@types/node', 'undici-types']) {
  cpSync(path.join(root, 'node_modules', name), path.join(project, 'node_modules', name), {
    recursive: true,
  });
}
step('a consumer type checked', [process.execPath, tool('typescript'), '-p', 'tsconfig.json'], project);
