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

/** The modules that programs and workers load, by their file in dist/. Both without their ending. */
const ENTRIES = {
  ...Object.fromEntries(
    Object.values(exports)
      .map((target) => /^\.\/dist\/(.+)\.js$/.exec(target.default ?? target)?.[1])
      .flatMap((name) => (name === undefined ? [] : [[name, name]])),
  ),
  'worker-main': 'executor/worker-main',
};

/**
 * The files that entries share, each with the module that needs all of it. A module belongs to the first
 * that fits. So `import 'gyre'` loads few files, a worker loads little, and no class exists twice.
 */
const SHARED = { worker: 'executor/worker-main', core: 'index', simulator: 'entry/sim' };

/**
 * Builds `dist/`. Exits the process when the compiler reports an error.
 *
 * @returns {Promise<void>}
 */
export async function build() {
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

/** @param {string} modules the folder of compiled modules */
async function join(modules) {
  const { rollup } = await import('rollup');
  const fileOf = (/** @type {string} */ name) => path.join(modules, `${name}.js`);
  /** @type {Map<string, readonly string[]>} by module */
  const imports = new Map();
  const bundle = await rollup({
    // The check of the tarball reports an entry that has no source.
    input: Object.fromEntries(
      Object.entries(ENTRIES)
        .map(([file, module]) => [file, fileOf(module)])
        .filter(([, module = '']) => existsSync(module)),
    ),
    external: /^[^./]/,
    plugins: [
      {
        name: 'compiled',
        load: withSourceMap,
        moduleParsed: ({ id, importedIds }) => void imports.set(id, importedIds),
      },
    ],
    onLog: (level, { code, message }) => {
      // The compiler's helper for `using` looks for another copy of itself in `this`.
      if (level === 'warn' && code !== 'THIS_IS_UNDEFINED') throw new Error(message);
    },
  });
  const shared = Object.entries(SHARED).map(([name, module]) => ({
    name,
    files: reached(fileOf(module), imports),
  }));
  await bundle.write({
    dir: dist,
    format: 'es',
    chunkFileNames: '[name].js',
    hoistTransitiveImports: false,
    manualChunks: (file) => shared.find(({ files }) => files.has(file))?.name,
    minifyInternalExports: false,
    sourcemap: true,
    sourcemapExcludeSources: true,
  });
  await bundle.close();
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

/** @param {string} file a compiled module, with its source map beside it */
function withSourceMap(file) {
  return { code: readFileSync(file, 'utf8'), map: JSON.parse(readFileSync(`${file}.map`, 'utf8')) };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await build();
