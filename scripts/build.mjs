// npm run build: src/ becomes dist/, from nothing, so that a file that was removed does not stay in the
// package. The compiler writes a declaration for each file of src/. rollup joins the code into a few files,
// because a program starts several times faster when Node need not find and read hundreds of them.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { runChild } from './run-child.mjs';
import { ensureDependencies, root } from './setup.mjs';

const dist = path.join(root, 'dist');
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/** The program of a pool's worker. */
const WORKER = 'executor/worker-main';

/** The modules that programs and workers load, by their file in dist/. Both without their ending. */
const ENTRIES = {
  ...Object.fromEntries(
    Object.values(exports)
      .map((target) => /^\.\/dist\/(.+)\.js$/.exec(target.default ?? target)?.[1])
      .flatMap((name) => (name === undefined ? [] : [[name, name]])),
  ),
  'gyre-worker': WORKER,
  'gyre-serve': 'workers/worker-main',
  gyre: 'cli/gyre',
};

/**
 * Builds `dist/`. Exits the process when the compiler reports an error. Does nothing if GYRE_BUILT=1 says
 * that `dist/` is there: `.ci/run` builds once, and then several of its steps use the result at once.
 *
 * @returns {Promise<void>}
 */
export async function build() {
  if (process.env.GYRE_BUILT === '1' && existsSync(dist)) return;
  ensureDependencies();
  rmSync(dist, { recursive: true, force: true });
  const modules = path.join(dist, 'modules');
  const code = ['--declaration', 'false', '--declarationMap', 'false', '--isolatedDeclarations', 'false'];
  await Promise.all([
    compile('--emitDeclarationOnly'),
    // The other run checks the types, and a program need not read comments.
    compile(...code, '--removeComments', '--noCheck', '--outDir', modules),
  ]);
  await join(modules);
  rmSync(modules, { recursive: true });
}

/** @param {string[]} options */
async function compile(...options) {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const code = await runChild(process.execPath, [tsc, '-p', 'tsconfig.build.json', ...options], {
    cwd: root,
  });
  if (code !== 0) process.exit(code);
}

/**
 * `import 'gyre'` loads all of `core.js`, and a worker no more than it needs. The other entries share these
 * files, so that no class exists twice.
 *
 * @param {string} modules the folder of compiled modules
 */
async function join(modules) {
  const fileOf = (/** @type {string} */ name) => path.join(modules, `${name}.js`);
  const program = await workerProgram(fileOf(WORKER));
  /** @type {Map<string, readonly string[]>} by module */
  const imports = new Map();
  const bundle = await rolledUp(
    // The check of the tarball reports an entry that has no source.
    Object.fromEntries(
      Object.entries(ENTRIES)
        .map(([file, module]) => [file, fileOf(module)])
        .filter(([, module = '']) => existsSync(module)),
    ),
    {
      name: 'gyre',
      load: (file) =>
        file === fileOf('executor/worker-program')
          ? `export const workerProgram = ${JSON.stringify(program)};`
          : withSourceMap(file),
      moduleParsed: ({ id, importedIds }) => void imports.set(id, importedIds),
      renderChunk: (code) => ({ code: inAscii(code), map: null }),
    },
  );
  const needed = (/** @type {string} */ name) => reached(fileOf(name), imports);
  const worker = needed(WORKER);
  const core = needed('index');
  const simulator = needed('entry/sim');
  await bundle.write({
    ...OUTPUT,
    dir: dist,
    format: 'es',
    chunkFileNames: '[name].js',
    manualChunks: (file) => {
      if (core.has(file)) return worker.has(file) ? 'worker' : 'core';
      return simulator.has(file) ? 'simulator' : undefined;
    },
    sourcemap: true,
    sourcemapExcludeSources: true,
  });
  await bundle.close();
}

/**
 * Returns the program of a worker as one script, for programs that bundle gyre.
 *
 * @param {string} file
 */
async function workerProgram(file) {
  const bundle = await rolledUp({ worker: file }, { name: 'worker' });
  const { output } = await bundle.generate({ ...OUTPUT, format: 'cjs' });
  await bundle.close();
  return output[0].code;
}

/** @type {import('rollup').OutputOptions} */
const OUTPUT = { hoistTransitiveImports: false, minifyInternalExports: false };

/**
 * @param {Record<string, string>} input
 * @param {import('rollup').Plugin} plugin
 */
async function rolledUp(input, plugin) {
  const { rollup } = await import('rollup');
  return await rollup({
    input,
    external: /^[^./]/,
    plugins: [
      plugin,
      {
        name: 'imports-at-run-time',
        // webpack would look for the module at build time. The compiler has removed the comment.
        renderDynamicImport: () => ({ left: 'import(/* webpackIgnore: true */ ', right: ')' }),
      },
    ],
    onLog: (level, { code, message }) => {
      // The compiler's helper for `using` looks for another copy of itself in `this`.
      if (level === 'warn' && code !== 'THIS_IS_UNDEFINED') throw new Error(message);
    },
  });
}

/**
 * Returns the modules that a module imports, directly or not.
 *
 * @param {string} module
 * @param {ReadonlyMap<string, readonly string[]>} imports
 * @returns {Set<string>}
 */
function reached(module, imports) {
  const found = new Set(imports.get(module));
  for (const file of found) {
    for (const imported of imports.get(file) ?? []) found.add(imported);
  }
  return found;
}

/**
 * Escapes the characters outside of ASCII, which are all in texts. V8 would keep the source of a file with
 * one such character in two bytes a character: 0.9 MiB more for `core.js`.
 *
 * @param {string} code
 */
function inAscii(code) {
  return code.replace(/[^\0-\x7F]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** @param {string} file a compiled module, with its source map beside it */
function withSourceMap(file) {
  return { code: readFileSync(file, 'utf8'), map: JSON.parse(readFileSync(`${file}.map`, 'utf8')) };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await build();
