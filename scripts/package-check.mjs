// npm run package:check: packs, examines and installs the package into an empty project, and runs and type
// checks it there. GYRE_NODE=/path/to/node runs the program under another node.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { faultsOfMain, faultsOfNative, packMain, packNative } from './pack.mjs';
import { checkBundles } from './package/bundles.mjs';
import { npmCommand, root } from './setup.mjs';

/** @type {Record<string, string>} */
const programs = {
  'program.mjs': `
    import assert from 'node:assert/strict';
    import 'gyre/sim/register';
    import * as gyre from 'gyre';
    import * as lowlevel from 'gyre/lowlevel';
    import * as adapters from 'gyre/node';
    import * as sim from 'gyre/sim';
    import * as testing from 'gyre/testing';
    import manifest from 'gyre/package.json' with { type: 'json' };

    assert.equal(typeof lowlevel, 'object');
    assert.equal(typeof testing, 'object');
    assert.equal(typeof adapters.toDuplex, 'function');
    assert.equal(await gyre.run(async () => await gyre.sleep(0.001, 'slept')), 'slept');

    // rollup has renamed no class or function. The entries share their classes.
    for (const entry of [gyre, lowlevel, adapters, sim, testing]) {
      for (const [name, value] of Object.entries(entry)) {
        if (typeof value === 'function') assert.doesNotMatch(value.name, /\\$/, name);
      }
    }
    const loop = new sim.SimulatedEventLoop();
    assert.ok(loop instanceof gyre.BaseEventLoop);
    await assert.rejects(loop.runUntilComplete(() => gyre.waitFor(gyre.sleep(1), 0.1)), gyre.TimeoutError);
    const before = loop.time();
    await loop.runUntilComplete(async () => {
      await gyre.sleep(3600);
    });
    assert.ok(loop.time() - before >= 3600);
    loop.close();
    assert.throws(() => loop.callSoon(Object), gyre.LoopError);

    const path = gyre.importFunctions('node:path');
    for (const Pool of [gyre.ThreadPoolExecutor, gyre.ProcessPoolExecutor]) {
      const pool = new Pool({ maxWorkers: 1 });
      assert.equal(await pool.submit((a, b) => a + b, [2, 3]), 5);
      assert.equal(await pool.submit(path.basename, ['/a/b']), 'b');
      await pool.shutdown();
    }
    console.log(\`gyre \${manifest.version} ok on node \${process.version}\`);
  `,
  'look.mjs': `
    import assert from 'node:assert/strict';
    import { execFile } from 'node:child_process';
    import { promisify } from 'node:util';
    import { run } from 'gyre';

    // The program looks into this process, while its loop waits.
    await run(async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [
        'node_modules/gyre/dist/gyre.js', 'ps', String(process.pid),
      ]);
      assert.match(stdout, /loop 1: .*EventLoop/);
    });
  `,
  // The cost of the import, by what it loads, because time depends on the machine.
  'cost.mjs': `
    import 'gyre';
    const heavy = /^NativeModule (child_process|crypto|dgram|dns|fs\\/promises|http|inspector|net|stream|tls|tty|v8|worker_threads|zlib)$/;
    const loaded = process.moduleLoadList.filter((name) => heavy.test(name));
    if (loaded.length > 0) throw new Error("import 'gyre' loads " + loaded);
    const { readdirSync, readFileSync } = process.getBuiltinModule('node:fs');
    const folder = new URL('.', import.meta.resolve('gyre'));
    for (const name of readdirSync(folder).filter((name) => name.endsWith('.js'))) {
      const isAscii = /^[\\0-\\x7F]*$/.test(readFileSync(new URL(name, folder), 'utf8'));
      if (!isAscii) throw new Error(name + ' has a character outside of ASCII: V8 keeps it in twice the memory');
    }
  `,
  'native.mjs': `
    import assert from 'node:assert/strict';
    import { openConnection, run, startServer, UvEventLoop } from 'gyre';

    await run(
      async () => {
        const server = await startServer(async (reader, writer) => writer.write(await reader.readline()), '127.0.0.1', 0);
        const [reader, writer] = await openConnection('127.0.0.1', server.sockets[0].getsockname()[1]);
        writer.write('through the native backend\\n');
        assert.equal((await reader.readline()).toString(), 'through the native backend\\n');
        writer.close();
        server.close();
        server.closeClients();
        await server.waitClosed();
      },
      { loopFactory: () => new UvEventLoop() },
    );
    console.log('an echo by UvEventLoop ok on node ' + process.version);
  `,
  // Runs with --enable-source-maps: debuggers read the same maps.
  'mapped.mjs': `
    import assert from 'node:assert/strict';
    import { readFileSync } from 'node:fs';
    import { run, sleep } from 'gyre';

    const error = await run(() => sleep(NaN)).catch((reason) => reason);
    const frames = [...error.stack.matchAll(/at (?:\\S+\\.)?(\\w+) \\((.+node_modules\\/gyre\\/.+):(\\d+):\\d+\\)/g)];
    assert.ok(frames.some(([, name]) => name === 'sleep'), error.stack);
    for (const [, , file, line] of frames) {
      assert.match(file, /gyre\\/src\\/.+\\.ts$/);
      assert.ok(readFileSync(file, 'utf8').split('\\n').length > Number(line), file + ' is too short');
    }
    const thrown = frames.find(([, name]) => name === 'sleep');
    assert.match(readFileSync(thrown[2], 'utf8').split('\\n')[thrown[3] - 1], /checkSeconds\\(/);
    console.log('a stack of ' + frames.length + ' frames in the sources of gyre');
  `,
  'consumer.mts': `
    import type { RemotePort } from 'gyre';
    import { gather, getRunningLoop, importFunctions, run, sleep, ThreadPoolExecutor } from 'gyre';
    import type * as lowlevel from 'gyre/lowlevel';
    import type * as adapters from 'gyre/node';
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
    const path = importFunctions<typeof import('node:path')>('node:path');
    export const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    export const name: Promise<string> = pool.submit(path.basename, ['/a/b']);
    export const port: RemotePort<{ note: (text: string) => void }> = getRunningLoop().remote({ note: (_text: string) => {} });
    export type { adapters, lowlevel, testing };
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
      // The package's own declarations are the subject, so they are not skipped.
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
 * Runs a command to its end and answers its output. When it fails, shows all it printed and ends this
 * process.
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

/**
 * Fails unless the package has exactly the runtime dependencies and versions of docs/dependencies.md, and
 * they are installed.
 *
 * @param {Record<string, string>} dependencies
 */
function checkDependencies(dependencies) {
  const page = readFileSync(path.join(root, 'docs', 'dependencies.md'), 'utf8');
  const [atRunTime = ''] = page.split('## Development');
  const justified = [...atRunTime.matchAll(/^\| `([^`]+)` (\S+) \|/gm)].map(
    ([, name, version]) => `${name} ${version}`,
  );
  const named = Object.entries(dependencies).map(([name, version]) => `${name} ${version}`);
  const difference = [
    ...named
      .filter((each) => !justified.includes(each))
      .map((each) => `${each} has no reason in docs/dependencies.md`),
    ...justified
      .filter((each) => !named.includes(each))
      .map((each) => `${each} is no dependency of package.json`),
  ];
  if (difference.length > 0) fail(`runtime dependencies: ${difference.join('; ')}`);
  for (const [name, version] of Object.entries(dependencies)) {
    const file = path.join(project, 'node_modules', name, 'package.json');
    const has = JSON.parse(readFileSync(file, 'utf8'));
    if (has.version !== version) fail(`${name} ${has.version} was installed instead of ${version}`);
    if (Object.keys(has.dependencies ?? {}).length > 0) fail(`${name} has dependencies of its own`);
  }
  console.log(`ok    runtime dependencies: ${named.join(', ') || 'none'}`);
}

/** The modules of Node that an import of gyre names in a statement. They cost about no time. */
const CHEAP = ['async_hooks', 'events', 'os', 'path', 'perf_hooks', 'url'].map((name) => `node:${name}`);

/**
 * Fails if an entry needs many files, or names another module of Node.
 *
 * @param {string} entry
 */
function checkImport(entry) {
  const files = new Set([entry]);
  const others = new Set();
  for (const file of files) {
    for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) .*?'([^']+)';$/gm)) {
      if (from.startsWith('.')) files.add(path.resolve(path.dirname(file), from));
      else if (!CHEAP.includes(from)) others.add(from);
    }
  }
  if (files.size > 3) fail(`import 'gyre' reads ${files.size} files: ${listed(files)}`);
  if (others.size > 0) fail(`import 'gyre' names ${listed(others)} in a statement`);
  console.log(`ok    import 'gyre' reads ${files.size} files`);
}

/** @param {Iterable<string>} names */
function listed(names) {
  return [...names].join(', ');
}

const tarball = await packMain(temporary);
const native = packNative(temporary);
const archive = path.join(temporary, tarball.filename);
const names = tarball.files.map((file) => file.path);
for (const fault of faultsOfMain(names)) fail(fault);
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

// From the installed packages here: npm may not have them in its cache.
const { dependencies: atRunTime = {} } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const needed = Object.keys(atRunTime).map((name) => {
  const packed = step(
    `packed its dependency ${name}`,
    [
      ...npmCommand(),
      'pack',
      path.join(root, 'node_modules', name),
      '--ignore-scripts',
      '--json',
      '--silent',
    ],
    temporary,
  );
  return path.join(temporary, JSON.parse(packed)[0].filename);
});

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
    ...needed,
    archive,
  ],
  project,
);

const installed = path.join(project, 'node_modules', 'gyre');
const manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'));
for (const name of installScripts) {
  if (manifest.scripts?.[name] !== undefined) fail(`the package runs a script when it is installed: ${name}`);
}
// npm compiles any package with a binding.gyp, even without a script for it.
if (names.some((name) => name.endsWith('.gyp'))) fail('the package has a .gyp file');
checkDependencies(manifest.dependencies ?? {});

step("import 'gyre' loads no module of Node that costs time", [node, 'cost.mjs'], project);
checkImport(path.join(installed, 'dist', 'index.js'));
const said = step(`a program that imports every entry, run by ${node}`, [node, 'program.mjs'], project);
process.stdout.write(`      ${said}`);
const mapped = step(
  'an error is traced to the TypeScript sources',
  [node, '--enable-source-maps', 'mapped.mjs'],
  project,
);
process.stdout.write(`      ${mapped}`);

for (const name of ['@types/node', 'undici-types']) {
  cpSync(path.join(root, 'node_modules', name), path.join(project, 'node_modules', name), {
    recursive: true,
  });
}
step('a consumer type checked', [process.execPath, tool('typescript'), '-p', 'tsconfig.json'], project);

if (process.platform === 'linux') {
  step('the program gyre looks into a process', [node, 'look.mjs'], project);
}

// A reader copies the examples: they import 'gyre' as any program does.
cpSync(path.join(installed, 'examples'), path.join(project, 'examples'), { recursive: true });
step(
  'an example of the package',
  [node, '--import', import.meta.resolve('tsx'), 'examples/http-over-gyre.ts', '0', '--ask'],
  project,
);

const unpacked = path.join(temporary, 'native');
if (typeof native !== 'string') {
  mkdirSync(unpacked);
  const flags = ['-xzf', path.join(temporary, native.filename), '-C', unpacked];
  step('unpacked the native package', ['tar', ...flags], temporary);
}
await checkBundles(project, path.join(temporary, 'bundles'), typeof native === 'string' ? null : unpacked);

if (typeof native === 'string') {
  console.log(`skip  the native package: ${native}`);
} else {
  for (const fault of faultsOfNative(native.files.map((file) => file.path))) fail(fault);
  const flags = ['--ignore-scripts', '--offline', '--no-audit', '--no-fund', '--no-save'];
  const archives = [...needed, archive, path.join(temporary, native.filename)];
  step(
    'installed together with the native package',
    [...npmCommand(), 'install', ...flags, ...archives],
    project,
  );
  const onUv = step('the native backend of the installed package', [node, 'native.mjs'], project);
  process.stdout.write(`      ${onUv}`);
}
